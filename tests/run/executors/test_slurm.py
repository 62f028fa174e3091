"""Slurm's pilots: the job script, what sbatch and squeue are asked, what users hear of refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from fakes import slurm_commands

from alspec.errors import InputError
from alspec.run.cluster_steps import gpus_of
from alspec.run.executors.pilots import ClusterError, PilotCommand, workers_on_cpus
from alspec.run.executors.slurm import Job, SlurmCluster, job_name, job_script
from alspec.spec.execution import Slurm, seconds_of_limit
from alspec.system.processes import SUBMISSION

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a shell")
GOLDEN = Path(__file__).parents[2] / "golden" / "slurm_job.sh"
COMMAND = PilotCommand(
    Path("/data/night drive/study.yaml"), Path("/shared/work_dirs"), ("training.epochs=2",),
    "cuda:0*3", "15m", ("--trust-config",),
)  # fmt: skip


def job(**asked):
    command = ["/opt/alspec/bin/python", *COMMAND.arguments()[1:]]
    where = (Path("/data/night drive"), Path("/shared/100% work/logs"))
    return Job("alspec-night-0a1b2c3d", command, "5e6f", *where, 1, Slurm(**asked))


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    state = slurm_commands.put_on_path(tmp_path / "slurm", monkeypatch)
    yield state
    slurm_commands.end_all(state)


def test_the_job_script_is_the_golden_one():
    asked = {
        "partition": "gpu", "account": "vision", "time": "4:00:00", "gpu": "a100", "cpus": 8,
        "memory": "32G", "lines": ["#SBATCH --constraint=nvlink"], "setup": ["module load cuda"],
    }  # fmt: skip
    assert job_script(job(**asked), 8) == GOLDEN.read_text()


def test_what_nobody_asked_for_is_left_to_the_cluster():
    plain = job_script(job(), 1)
    for option in ("partition", "account", "time", "cpus-per-task", "mem"):
        assert f"--{option}=" not in plain
    assert "--gres=gpu:1\n" in plain
    assert "--gres=gpu:1" not in job_script(job(lines=["--gres=shard:2"]), 1)


@pytest.mark.parametrize(
    ("devices", "gpus"), [("cpu", 0), ("cpu:4", 0), ("cuda:0", 1), ("cuda:0*3", 1), ("cuda:0,1", 2)]
)
def test_a_job_asks_for_as_many_gpus_as_its_devices_name(devices, gpus):
    assert gpus_of(devices) == gpus


def test_a_job_asks_for_a_cpu_for_each_worker_on_cpus():
    def asked_for(devices, **asked):
        return job_script(replace(job(**asked), cpus=workers_on_cpus(devices)), 1)

    assert "--cpus-per-task=4\n" in asked_for("cpu:4")
    assert "--cpus-per-task=6\n" in asked_for("cpu:4", cpus=6)
    for devices, asked in [
        ("cpu", {}), ("cuda:0*3", {}), ("cpu:4", {"lines": ["-c 2"]}),
        ("cpu:4", {"lines": ["--cpus-per-task=2"]}),
    ]:  # fmt: skip
        assert "#SBATCH --cpus-per-task=4" not in asked_for(devices, **asked)


def test_devices_of_one_training_are_those_of_one_job(study, slurm, toy_spec, cli):
    spec = {**toy_spec, "execution": {"executor": "slurm", "jobs": 1, "devices": 2}}
    Path("study.yaml").write_text(yaml.safe_dump(spec))
    for devices in ("cpu:1", "cuda:0", "cuda:0*2"):
        code, _, err = cli("run", "study.yaml", "--devices", devices)
        assert code == 2
        assert "a training takes 2 devices together" in err
        assert not (slurm / "asked").exists()
        assert not Path("work_dirs").exists()
    scripts = {}
    for devices in ([], ["--devices", "cpu:2"]):
        work_dir = f"w{len(scripts)}"
        assert cli("run", "study.yaml", "--no-wait", "--work-dir", work_dir, *devices)[0] == 4
        scripts[work_dir] = (slurm / f"script.{100 + len(scripts)}").read_text()
        slurm_commands.end_all(slurm)
        for element in (slurm / "jobs").iterdir():
            element.unlink()
    assert "#SBATCH --gres=gpu:2\n" in scripts["w0"]
    assert " --devices cuda:0,1 " in scripts["w0"]
    assert "#SBATCH --cpus-per-task=2\n" in scripts["w1"]
    assert "--gres" not in scripts["w1"]
    assert " --devices cpu:2 " in scripts["w1"]


@pytest.mark.parametrize(
    ("pilot", "code", "again"),
    [
        ("exit 0", 0, False),
        ("exit 1", 1, False),
        ("exit 75", 75, False),  # by another signal: whoever sent it, means it
        ("trap 'exit 75' USR1; kill -USR1 $PPID; sleep 9 & wait", 75, True),
        ("kill -USR1 $PPID; sleep 9 & wait", 128 + signal.SIGUSR1, True),  # too early for a trap
        ("trap 'sleep .2; exit 75' USR1; kill -USR1 $PPID $PPID; sleep 9 & wait", 75, True),
        ("trap 'exit 75' TERM; kill -TERM $PPID; sleep 9 & wait", 75, False),
        ("trap '' USR1; kill -USR1 $PPID; sleep .2; exit 0", 0, False),
    ],
)
def test_the_script_queues_its_job_again_where_time_ran_out(slurm, tmp_path, pilot, code, again):
    command = ("bash", "-c", pilot)
    made = Job("name", command, "s", tmp_path, tmp_path, 0, Slurm())
    environment = {**os.environ, "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}
    script = job_script(made, 1)
    done = subprocess.run(["bash", "-c", script], env=environment, timeout=20, check=False)
    assert done.returncode == code
    assert (slurm / "again.7_2").exists() == again


def test_an_array_is_no_larger_than_the_cluster_allows(slurm, tmp_path):
    cluster = SlurmCluster(job(), tmp_path / "logs" / "slurm.sh")
    assert cluster.start(7) == "7 jobs submitted to Slurm (100, 101, 102)"
    arrays = [text.read_text() for text in sorted(slurm.glob("script.*"))]
    assert ["--array=1-3\n" in arrays[0], "--array=1-1\n" in arrays[2]] == [True, True]
    assert (cluster.count().total, str(cluster.count())) == (7, "7 waiting (Resources)")
    assert "--name alspec-night-0a1b2c3d" in (slurm / "asked").read_text()
    own = SlurmCluster(job(array_size=100), tmp_path / "slurm.sh")
    assert own.start(7) == "7 jobs submitted to Slurm (103)"


def test_refused_in_the_middle_nothing_is_left_submitted(slurm, tmp_path, monkeypatch):
    cluster = SlurmCluster(job(), tmp_path / "slurm.sh")
    write = Path.write_text

    def refusing(path, text):
        write(path, text)
        if list(slurm.glob("script.*")):
            write(slurm / "refuse", "Batch job submission failed: Job violates accounting policy")

    monkeypatch.setattr("alspec.run.executors.slurm.write_text", refusing)
    with pytest.raises(ClusterError, match=r"violates accounting policy. Nothing was submitted"):
        cluster.start(7)
    assert cluster.count().total == 0


def test_names_differ_with_study_and_folder():
    names = {job_name("a", Path("/w")), job_name("b", Path("/w")), job_name("a", Path("/v"))}
    assert len(names) == 3


# ---- what users hear ----------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path, monkeypatch, toy_spec):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("alspec.run.plan_steps.check_models", lambda *_, **__: None)
    published = "alspec.report.publish.publish_what_changed"
    monkeypatch.setattr(published, lambda _, folder: folder.report)
    Path("study.yaml").write_text(yaml.safe_dump(toy_spec))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("refuse", "Batch job submission failed: Invalid partition name specified"),
        ("refuse", "Unable to contact slurm controller (connect failure)"),
        ("down", "Unable to contact slurm controller (connect failure)"),
    ],
)
def test_a_refusal_is_one_message_and_starts_nothing(study, slurm, cli, file, said):
    (slurm / file).write_text(said)
    code, _, err = cli("run", "study.yaml", "--executor", "slurm", "--jobs", "2")
    assert code == 2
    assert err.count(said) == 1
    assert "Nothing was" in err
    assert not list((slurm / "jobs").iterdir())


def test_without_slurm_nothing_is_done(study, monkeypatch, cli):
    monkeypatch.setenv("PATH", "/nowhere")
    code, _, err = cli("run", "study.yaml", "--executor", "slurm", "--jobs", "2")
    assert (code, "sbatch" in err, "not found" in err) == (2, True, True)
    assert not (study / "work_dirs" / "tiny").exists()


@pytest.mark.usefixtures("slurm")
def test_without_a_number_of_jobs_nothing_is_done(study, cli):
    code, _, err = cli("run", "study.yaml", "--executor", "slurm")
    assert (code, "--jobs" in err) == (2, True)
    assert not (study / "work_dirs" / "tiny").exists()


def test_no_wait_submits_and_ends(study, slurm, cli):
    command = ("run", "study.yaml", "--executor", "slurm", "--jobs", "2", "--no-wait")
    code, _, err = cli(*command, "--devices", "cpu:1", "--set", "seeds=[1]")
    assert (code, "2 jobs submitted to Slurm (100)" in err) == (4, True)
    script = (slurm / "script.100").read_text()
    assert f"{sys.executable} -I -m alspec run {study / 'study.yaml'} --executor local" in script
    assert "--devices cpu:1 --idle 15m --set 'seeds=[1]'" in script
    assert "--gres" not in script
    assert f"\n{SUBMISSION}=" in script
    code, _, err = cli(*command)  # again: they are there
    assert (code, "2 pilots of this study are there" in err, "submitted" in err) == (4, True, False)


def test_lines_that_can_run_programs_are_trusted_first(study, slurm, toy_spec, cli):
    lines = {"lines": ["--qos=low", "--prolog=x.sh"], "setup": ["module load cuda"]}
    execution = {"executor": "slurm", "jobs": 1, "slurm": lines}
    Path("study.yaml").write_text(yaml.safe_dump({**toy_spec, "execution": execution}))
    code, _, err = cli("run", "study.yaml")
    assert code == 2
    assert [part in err for part in ("--prolog", "module load", "--qos")] == [True, True, False]
    code, _, err = cli("run", "study.yaml", "--trust-config", "--no-wait")
    assert code == 4
    assert "module load cuda\n" in (slurm / "script.100").read_text()


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"executor": "pbs"}, "Known: local, slurm, ray"),
        ({"jobs": 0}, "at least 1"),
        ({"devices": "gpu"}, "devices as cpu"),
        ({"idle": "soon"}, "a time as 90s, 15m or 2h"),
        ({"slurm": {"queue": "gpu"}}, "Did you mean `partition`"),
        ({"slurm": {"partition": "a b"}}, "text without spaces"),
        ({"slurm": {"lines": ["--output=x"]}}, "is set by alspec"),
        ({"slurm": {"lines": ["constraint"]}}, "is no option of sbatch"),
        ({"slurm": {"lines": ["--qos=x\n#SBATCH --wrap=x"]}}, "is no option of sbatch"),
        ({"slurm": {"setup": ["a\nb"]}}, "one line of shell each"),
        ({"slurm": {"time": "3:00"}}, "Ask for 5 minutes or more"),
        ({"slurm": {"time": 4}}, "`4` is 240 s to Slurm"),
        ({"slurm": {"lines": ["#SBATCH -t 0-00:04:59"]}}, "Ask for 5 minutes or more"),
        ({"slurm": {"lines": ["--time-min=2"]}}, "Ask for 5 minutes or more"),
    ],
)
def test_a_wrong_block_is_told_at_its_line(study, slurm, toy_spec, cli, block, said):
    Path("study.yaml").write_text(yaml.safe_dump({**toy_spec, "execution": block}))
    code, _, err = cli("run", "study.yaml", "--executor", "slurm", "--jobs", "1")
    assert code == 2
    assert "study.yaml:" in err
    assert said in err
    assert not (slurm / "asked").exists()
    assert not Path("work_dirs").exists()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 300), ("5:30", 330), ("1:00:00", 3600), ("2-12", 216_000), ("1-0:30", 88_200),
        ("0-00:05:01", 301), ("0", None), ("UNLIMITED", None), ("soon", None),
    ],
)  # fmt: skip
def test_a_time_limit_is_read_as_sbatch_does(text, seconds):
    assert seconds_of_limit(text) == seconds
    assert Slurm(time=text, lines=[f"--time={text}"]).time == text


def test_a_study_of_no_file_cannot_be_given_to_pilots(toy_study, slurm, tmp_path, monkeypatch):
    from alspec import api

    with pytest.raises(InputError, match="made in Python"):
        api.run(toy_study(), executor="slurm", jobs=1, work_dir=tmp_path / "w")


def test_a_project_does_not_go_to_a_cluster(tmp_path, cli):
    path = tmp_path / "p.yaml"
    path.write_text(
        "project: p\ndataset: {name: d, kind: folder, root: x, images: i, masks: m, "
        "classes: [a, b], image_size: [8, 8], sequence: '^(.)'}\n"
    )
    code, _, err = cli("run", path, "--executor", "slurm")
    assert (code, "on this machine" in err) == (2, True)


def test_without_ray_the_message_names_the_extra(study, monkeypatch, cli):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = cli("run", "study.yaml", "--executor", "ray")
    assert (code, "pip install 'alspec[ray]'" in err) == (2, True)


def test_ray_is_imported_when_it_is_asked_for_alone():
    code = "import sys, alspec.run.cluster_steps; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_a_training_of_two_devices_ends_in_the_same_bytes(tmp_path, slurm):
    from factories.cluster_runs import TOGETHER, ClusterRun, alone

    (slurm / "start").touch()
    (tmp_path / "alone").mkdir()
    together, where = {"devices": 2}, ("--devices", "cpu:2")
    expected = alone(tmp_path / "alone", TOGETHER, *where, **together)
    run = ClusterRun(tmp_path, TOGETHER, executor="slurm", jobs=1, **together)
    assert "1 jobs submitted to Slurm" in run.check(run.start(*where), expected)


@pytest.mark.slow
def test_pilots_do_a_study_and_one_that_is_preempted_goes_on(tmp_path, slurm, monkeypatch):
    """Jobs are processes here: two pilots share the steps, one is signalled as its time ends."""
    from factories.cluster_runs import ClusterRun, alone

    (slurm / "start").touch()
    for name in ("alone", "cluster"):
        (tmp_path / name).mkdir()
    expected = alone(tmp_path / "alone")
    run = ClusterRun(tmp_path / "cluster", executor="slurm")
    process = run.start()
    run.wait_for(lambda: len(run.events("done")) >= 2, process)
    os.kill(int((slurm / "shell.100_1").read_text()), signal.SIGUSR1)
    run.wait_for(lambda: "requeue 100_1" in (slurm / "asked").read_text(), process)
    said = run.check(process, expected)
    assert "2 jobs submitted to Slurm (100)" in said
