"""The command line: each command parses, calls one function, prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from alspec import __version__
from alspec.cli import labelling
from alspec.cli.groups import datasets_app, plugins_app
from alspec.cli.options import (
    WORK_DIR,
    Devices,
    Json,
    Level,
    Overrides,
    ReportFormat,
    Shell,
    Spec,
    TrustConfig,
    WorkDir,
)
from alspec.cli.process import exit_codes
from alspec.cli.run_options import (
    Executor,
    FullPaths,
    Idle,
    Jobs,
    LoaderWorkers,
    NoWait,
    Only,
    Revise,
    Track,
    Until,
)

app = typer.Typer(
    help="Which images to label for semantic segmentation: active learning studies in one file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(plugins_app, name="plugins")
app.add_typer(datasets_app, name="datasets")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alspec {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def init(
    target: Annotated[
        Path, typer.Argument(metavar="[FILE|DIR]", help="The new file, or the folder of your data.")
    ] = Path("study.yaml"),
    template: Annotated[
        str | None,
        typer.Option(
            help="What to start from: quickstart, folder, camvid, cityscapes, pascal_voc, "
            "a2d2_pools, a2d2_3k.",
            show_default="quickstart for a file; what a folder seems to hold",
        ),
    ] = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Of a folder: ask for name, classes, val, batch.")
    ] = False,
) -> None:
    """Write a commented spec to start from, with the schema that editors complete it by.

    Of a folder: a study where every image has its mask, a labelling project where few have one.

    Example: alspec init study.yaml --template folder, or alspec init my_data/ --ask
    """
    from alspec.cli import spec as commands

    commands.init(target, template, ask=ask)


@app.command()
def schema() -> None:
    """Print the JSON schema of specs, plugins included.

    Example: alspec schema > alspec.schema.json
    """
    from alspec.cli import spec as commands

    commands.schema()


@app.command()
def check(
    spec: Spec,
    overrides: Overrides = None,
    trust_config: TrustConfig = False,
    as_json: Json = False,
) -> None:
    """Check a spec and read every image and mask it names; nothing is trained.

    Example: alspec check study.yaml
    """
    from alspec.cli import project as projects
    from alspec.cli import study as commands

    if project := projects.project_of(spec, overrides or ()):
        return projects.check(project, as_json=as_json)
    return commands.check(spec, overrides or (), trust_config=trust_config, as_json=as_json)


@app.command()
def plan(
    spec: Spec,
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
    as_json: Json = False,
    graph: Annotated[
        bool, typer.Option("--graph", help="A Mermaid flowchart of the steps.")
    ] = False,
    devices: Devices = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="First time a sample of steps on the device.")
    ] = False,
    gpus: Annotated[
        str | None,
        typer.Option(metavar="N,N,…", help="Also the time on so many devices, and what bounds it."),
    ] = None,
    trust_config: TrustConfig = False,
) -> None:
    """Show what a study will do: labelled images, runs, steps, what sharing saves, the time.

    Of a labelling project: what the next batch takes, with what is labelled now.

    Example: alspec plan study.yaml --devices cuda:0,1
    """
    from alspec.cli import study as commands

    commands.plan(
        spec,
        overrides or (),
        work_dir,
        devices,
        as_json=as_json,
        graph=graph,
        calibrate=calibrate,
        trust_config=trust_config,
        gpus=gpus,
    )


@app.command()
def run(
    spec: Spec,
    overrides: Overrides = None,
    executor: Executor = None,
    jobs: Jobs = None,
    devices: Devices = None,
    work_dir: WorkDir = WORK_DIR,
    loader_workers: LoaderWorkers = 0,
    trust_config: TrustConfig = False,
    no_wait: NoWait = False,
    idle: Idle = None,
    revise: Revise = False,
    only: Only = None,
    until: Until = None,
    track: Track = None,
    full_paths: FullPaths = False,
) -> None:
    """Run what of a study is not done yet, then write tables and report.

    Of a labelling project: train on what is labelled now, and measure it.

    Example: alspec run study.yaml --set training.epochs=5
    """
    from alspec.cli import project as projects
    from alspec.cli import study as commands

    if project := projects.project_of(spec, overrides or ()):
        for_studies = {
            "--jobs": jobs,
            "--loader-workers": loader_workers,
            "--no-wait": no_wait,
            "--idle": idle,
            "--revise": revise,
            "--only": only,
            "--until": until,
            "--track": track,
            "--full-paths": full_paths,
        }
        projects.refuse_options(project, for_studies)
        where = executor and executor.value
        raise typer.Exit(projects.run(project, where, devices, work_dir, trust_config=trust_config))
    code = commands.run(
        spec,
        overrides or (),
        devices,
        work_dir,
        executor=executor and executor.value,
        jobs=jobs,
        loader_workers=loader_workers,
        trust_config=trust_config,
        wait=not no_wait,
        idle=idle,
        revise=revise,
        only=only or (),
        until=until or (),
        track=track or (),
        full_paths=full_paths,
    )
    raise typer.Exit(code)


@app.command()
def status(
    spec: Annotated[
        Path | None, typer.Argument(help="A spec; all studies and projects if none.")
    ] = None,
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
    as_json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat every 5 s until all is done.")] = (
        False
    ),
) -> None:
    """Show how far studies and labelling projects are.

    Example: alspec status study.yaml --watch
    """
    from alspec.cli import project as projects
    from alspec.cli import status as commands

    if project := projects.project_of(spec, overrides or ()):
        raise typer.Exit(projects.status(project, work_dir, as_json=as_json))

    code = commands.status(spec, overrides or (), work_dir, as_json=as_json, watch=watch)
    raise typer.Exit(code)


@app.command()
def explain(
    spec: Spec,
    step: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STEP]", help="Words of its name, a pattern or a key; all if none."
        ),
    ] = None,
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
    as_json: Json = False,
) -> None:
    """Say of each step whether it is done, and if not, what changed since it was.

    Example: alspec explain study.yaml entropy cycle 1 train
    """
    from alspec.cli import explain as commands

    commands.explain(spec, " ".join(step or ()), overrides or (), work_dir, as_json=as_json)


@app.command()
def report(
    study: Annotated[Path, typer.Argument(help="A study spec, or a study's folder.")],
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
    form: Annotated[
        ReportFormat,
        typer.Option("--format", help="text is printed; of md and html the path is."),
    ] = ReportFormat.md,
    output: Annotated[
        Path | None, typer.Option("-o", help="Also copy the report in this format here.")
    ] = None,
) -> None:
    """Write tables, figures and reports (md, html) of what is finished.

    Example: alspec report study.yaml --format html -o report.html
    """
    from alspec.cli import project as projects
    from alspec.cli import study as commands

    if project := projects.project_of(study, overrides or ()):
        place = study.absolute().parent if study.is_dir() else work_dir
        return projects.report(project, place, output)

    return commands.report(study, overrides or (), work_dir, form.value, output)


@app.command()
def recommend(
    spec: Annotated[
        Path | None,
        typer.Argument(help="A spec: measure its data, read its budgets or labels."),
    ] = None,
    redundancy: Annotated[
        Level | None, typer.Option(help="Redundancy of the unlabelled images.")
    ] = None,
    budget: Annotated[
        Level | None, typer.Option(help="Labelling budget; low: at most 10 % labelled.")
    ] = None,
    ssl: Annotated[
        bool | None, typer.Option("--ssl/--no-ssl", help="May training use unlabelled images?")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="A folder of images to measure; no masks, no spec.")
    ] = None,
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
    as_json: Json = False,
) -> None:
    """Advise a method: the paper's guide, with its evidence and its limits.

    Example: alspec recommend --images frames/, or --redundancy high --budget low --ssl
    """
    from alspec.cli import recommend as commands
    from alspec.recommend.advise import Known

    known = Known(redundancy and redundancy.value, budget and budget.value, ssl)
    commands.recommend(
        spec, overrides or (), known, images=images, work_dir=work_dir, as_json=as_json
    )


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="STUDY", help="A study spec, or its folder.")],
    second: Annotated[Path, typer.Argument(metavar="STUDY", help="Another one.")],
    work_dir: WorkDir = WORK_DIR,
    as_json: Json = False,
) -> None:
    """Compare the mIoU of what two studies have finished in common.

    Example: alspec compare work_dirs/small_net work_dirs/large_net
    """
    from alspec.cli import compare as commands

    commands.compare(first, second, work_dir, as_json=as_json)


for _command in (labelling.select, labelling.ingest, labelling.predict):
    app.command()(_command)


@app.command()
def completion(
    shell: Annotated[
        Shell, typer.Argument(help="The shell to write the script for.", show_default=False)
    ],
) -> None:
    """Print a script that completes commands, options and files in a shell.

    Example: alspec completion bash > ~/.local/share/bash-completion/completions/alspec
    """
    from alspec.cli import completion as commands

    commands.completion(app, shell.value)


@app.command()
def doctor(work_dir: WorkDir = WORK_DIR, as_json: Json = False) -> None:
    """Look at this machine: does what alspec needs work here?

    Example: alspec doctor
    """
    from alspec.cli import machine as commands

    raise typer.Exit(commands.doctor(work_dir, as_json=as_json))


@app.command()
def work(
    key: Annotated[str, typer.Argument(help="A step's key.")],
    store: Annotated[Path, typer.Option(help="The store that has the step's recipe.")] = WORK_DIR
    / ".store",
    device: Annotated[str, typer.Option(help="cpu or cuda:N.")] = "cpu",
) -> None:
    """Do one step and commit it (for executors).

    Example: alspec work 3f9c41 --store work_dirs/.store
    """
    from alspec.cli import machine as commands

    commands.work(key, store, device)


def main() -> None:
    """Run a command."""
    with exit_codes():
        if sys.argv[1:] in [["completion", shell.value] for shell in Shell]:
            completion(Shell(sys.argv[2]))  # typer would load pydantic for it, at every new shell
        else:
            app(prog_name="alspec")
