"""Where and by what a test's labelling projects are worked on; one object in place of arguments."""

from __future__ import annotations

from alspec import projects
from alspec.run.options import RunOptions


class Place:
    """The functions of `alspec.projects` in one work directory, with one executor."""

    def __init__(self, work_dir, executor, devices="cpu:1"):
        self.work_dir = {"work_dir": work_dir}
        self.here = {"work_dir": work_dir, "devices": devices}
        self.running = {**self.here, "executor": executor}

    def folder(self, project):
        return projects.project_folder(project, **self.work_dir)

    def select(self, project, images=None, **how):
        return projects.select(project, images, **how, **self.running)

    def ingest(self, project, *paths, **how):
        return projects.ingest(project, *paths, **how, **self.work_dir)

    def predict(self, project, output, **how):
        return projects.predict(project, output, **how, **self.here)

    def run(self, project):
        options = RunOptions(devices=self.here["devices"], executor=self.running["executor"])
        return projects.run(project, options, **self.work_dir)

    def status(self, project):
        return projects.status(project, **self.work_dir).summary
