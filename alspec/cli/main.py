"""The command line: each command parses, calls one function, prints."""

from __future__ import annotations

import signal
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from alspec import __version__
from alspec.errors import AlspecError, ExitCode, Interrupted
from alspec.plugins import GROUPS
from alspec.system.interpreter import forget_current_folder

app = typer.Typer(
    help="Which images to label for semantic segmentation: active learning studies in one file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
plugins_app = typer.Typer(help="Acquisition functions and dataset kinds.", no_args_is_help=True)
datasets_app = typer.Typer(help="The kinds of datasets a spec can name.", no_args_is_help=True)
app.add_typer(plugins_app, name="plugins")
app.add_typer(datasets_app, name="datasets")

Spec = Annotated[Path, typer.Argument(help="The study spec, a YAML file.", show_default=False)]
ProjectSpec = Annotated[
    Path, typer.Argument(help="The spec of a labelling project.", show_default=False)
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the spec.")
]
WorkDir = Annotated[Path, typer.Option(help="Where studies and the store stand.")]
Devices = Annotated[
    str | None,
    typer.Option(
        help="cpu, cpu:4 (workers), cuda:0,1, or cuda:0*3 (3 workers on one GPU).",
        show_default="all GPUs, else cpu",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
TrustConfig = Annotated[
    bool,
    typer.Option("--trust-config", help="Training may run the spec's own MMSegmentation config."),
]
WORK_DIR = Path("work_dirs")


class Level(str, Enum):
    """Low or high."""

    low = "low"
    high = "high"


class ReportFormat(str, Enum):
    """What a report is written as."""

    md = "md"
    html = "html"
    text = "text"


class AnnotationTool(str, Enum):
    """What a batch is handed over to."""

    folder = "folder"
    cvat = "cvat"
    labelstudio = "labelstudio"


class ExecutorName(str, Enum):
    """Where steps run."""

    local = "local"


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
) -> None:
    """Write a commented spec to start from, with the schema that editors complete it by.

    Example: alspec init study.yaml --template folder, or alspec init my_data/
    """
    from alspec.cli import spec as commands

    commands.init(target, template)


@app.command()
def schema() -> None:
    """Print the JSON schema of specs, plugins included.

    Example: alspec schema > alspec.schema.json
    """
    from alspec.cli import spec as commands

    commands.schema()


@app.command()
def check(spec: Spec, overrides: Overrides = None, trust_config: TrustConfig = False) -> None:
    """Check a spec and read every image and mask it names; writes nothing."""
    from alspec.cli import study as commands

    commands.check(spec, overrides or (), trust_config=trust_config)


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
        bool, typer.Option("--calibrate", help="Time a sample on the device first, for seconds.")
    ] = False,
    trust_config: TrustConfig = False,
) -> None:
    """Show what a study will do: labelled images, runs, steps, what sharing saves, the time."""
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
    )


@app.command()
def run(
    spec: Spec,
    overrides: Overrides = None,
    executor: Annotated[ExecutorName, typer.Option(help="Where steps run.")] = ExecutorName.local,
    devices: Devices = None,
    work_dir: WorkDir = WORK_DIR,
    loader_workers: Annotated[
        int, typer.Option(min=0, help="Processes that prepare batches, for each training.")
    ] = 0,
    trust_config: TrustConfig = False,
    no_wait: Annotated[
        bool,
        typer.Option("--no-wait", help="End when other runs hold all that is left (exit code 4)."),
    ] = False,
    revise: Annotated[
        bool,
        typer.Option("--revise", help="Continue a study that another file's spec was run with."),
    ] = False,
) -> None:
    """Run what of a study is not done yet, then write tables and report.

    Of a labelling project: train on what is labelled now, and measure it.
    """
    from alspec.cli import project as projects
    from alspec.cli import study as commands

    if project := projects.project_of(spec, overrides or ()):
        raise typer.Exit(projects.run(project, devices, work_dir, trust_config=trust_config))

    code = commands.run(
        spec,
        overrides or (),
        devices,
        work_dir,
        loader_workers=loader_workers,
        trust_config=trust_config,
        wait=not no_wait,
        revise=revise,
    )
    raise typer.Exit(code)


@app.command()
def status(
    spec: Annotated[
        Path | None, typer.Argument(help="A study spec; every study without it.")
    ] = None,
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
    as_json: Json = False,
) -> None:
    """Show how far studies and labelling projects are."""
    from alspec.cli import project as projects
    from alspec.cli import study as commands

    if project := projects.project_of(spec, overrides or ()):
        raise typer.Exit(projects.status(project, work_dir, as_json=as_json))

    commands.status(spec, overrides or (), work_dir, as_json=as_json)


@app.command()
def report(
    study: Annotated[Path, typer.Argument(help="A study spec, or a study's folder.")],
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
    form: Annotated[
        ReportFormat,
        typer.Option("--format", help="The report to name or copy; text is printed."),
    ] = ReportFormat.md,
    output: Annotated[
        Path | None, typer.Option("-o", help="Also copy the report of this format here.")
    ] = None,
) -> None:
    """Write tables, figures and reports (md, html) of what is finished."""
    from alspec.cli import project as projects
    from alspec.cli import study as commands

    if project := projects.project_of(study, overrides or ()):
        place = study.absolute().parent if study.is_dir() else work_dir
        return projects.report(project, place, output)

    return commands.report(study, overrides or (), work_dir, form.value, output)


@app.command()
def recommend(
    spec: Annotated[
        Path | None, typer.Argument(help="A study spec: its data are measured, its budgets read.")
    ] = None,
    redundancy: Annotated[Level | None, typer.Option(help="Of the unlabelled images.")] = None,
    budget: Annotated[Level | None, typer.Option(help="low: at most 10 % labelled.")] = None,
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

    Example: alspec recommend --images frames/
    """
    from alspec.cli import project as projects
    from alspec.cli import recommend as commands
    from alspec.recommend.advise import Known

    if project := projects.project_of(spec, overrides or ()):
        return projects.recommend(project, work_dir, as_json=as_json)

    known = Known(redundancy and redundancy.value, budget and budget.value, ssl)
    return commands.recommend(spec, overrides or (), known, images=images, as_json=as_json)


@app.command()
def select(
    project: ProjectSpec,
    images: Annotated[
        int | None,
        typer.Option("-n", min=1, help="Images of the batch.", show_default="the project's"),
    ] = None,
    method: Annotated[str | None, typer.Option(help="In place of the project's.")] = None,
    to: Annotated[AnnotationTool, typer.Option(help="The tool it is handed over to.")] = (
        AnnotationTool.folder
    ),
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Make a batch although one waits for labels.")
    ] = False,
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
    devices: Devices = None,
    trust_config: TrustConfig = False,
) -> None:
    """Choose the next images to label, and hand them over (exit code 3: labels are waited for)."""
    from alspec.cli import project as commands
    from alspec.labelling.selection import Wanted

    wanted = Wanted(images, method, anyway, trust_config)
    code = commands.select(project, overrides or (), wanted, to.value, work_dir, devices)
    raise typer.Exit(code)


@app.command()
def ingest(
    project: ProjectSpec,
    paths: Annotated[list[Path], typer.Argument(help="Exports: zips, folders, XML or JSON.")],
    accept_unchanged: Annotated[
        bool, typer.Option("--accept-unchanged", help="Masks that are the proposal count.")
    ] = False,
    hours: Annotated[float | None, typer.Option(min=0, help="Of work, for this delivery.")] = None,
    annotator: Annotated[
        str | None, typer.Option(help="Whose annotations count: a name, or latest.")
    ] = None,
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
) -> None:
    """Take masks back from an annotation tool (exit code 3 until a batch is complete)."""
    from alspec.cli import project as commands
    from alspec.labelling.ingestion import Options

    options = Options(accept_unchanged, hours, annotator)
    raise typer.Exit(commands.ingest(project, overrides or (), paths, options, work_dir))


@app.command()
def predict(
    project: Annotated[Path, typer.Argument(metavar="PROJECT|DIR", help="Its spec or folder.")],
    output: Annotated[Path, typer.Option("-o", help="Folder for the masks.")],
    images: Annotated[
        Path | None, typer.Option(help="A folder of images.", show_default="the project's")
    ] = None,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Also write how sure the model is, 0 to 255.")
    ] = False,
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
    devices: Devices = None,
) -> None:
    """Write a mask for every image with the best model so far."""
    from alspec.cli import project as commands

    code = commands.predict(
        project, overrides or (), output, images, work_dir, devices, confidence=confidence
    )
    raise typer.Exit(code)


@app.command()
def doctor(work_dir: WorkDir = WORK_DIR) -> None:
    """Look at this machine: does what alspec needs work here?"""
    from alspec.cli import machine as commands

    raise typer.Exit(commands.doctor(work_dir))


@app.command()
def work(
    key: Annotated[str, typer.Argument(help="A step's key.")],
    store: Annotated[Path, typer.Option(help="The store with the step's recipe.")] = WORK_DIR
    / ".store",
    device: Annotated[str, typer.Option(help="cpu or cuda:N.")] = "cpu",
) -> None:
    """Do one step and commit it (for executors)."""
    from alspec.cli import machine as commands

    commands.work(key, store, device)


@plugins_app.command("list")
def plugins_list(as_json: Json = False) -> None:
    """List acquisition functions and dataset kinds, their parameters and packages.

    Example: alspec plugins list
    """
    from alspec.cli import plugins as commands

    commands.list_plugins(tuple(GROUPS), as_json=as_json)


@plugins_app.command("check")
def plugins_check(
    name: Annotated[str, typer.Argument(help="A method or a dataset kind.", show_default=False)],
    seconds: Annotated[float, typer.Option(min=1, help="For all trials together.")] = 120.0,
    memory: Annotated[float, typer.Option(min=0.1, help="GiB that it may take.")] = 4.0,
    as_json: Json = False,
) -> None:
    """Try a plugin in a process of its own: does it keep its contract?

    Example: alspec plugins check margin
    """
    from alspec.cli import plugins as commands

    raise typer.Exit(commands.check(name, seconds, memory, as_json=as_json))


@plugins_app.command("new")
def plugins_new(
    name: Annotated[str, typer.Argument(help="The method's name.", show_default=False)],
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where it is made.")] = Path(),
) -> None:
    """Write a package with an acquisition function of your own, which installs and tests itself.

    Example: alspec plugins new contrast, then pip install -e ./alspec-contrast
    """
    from alspec.cli import plugins as commands

    commands.new(name, folder)


@datasets_app.command("list")
def datasets_list(as_json: Json = False) -> None:
    """List the kinds of datasets and their parameters.

    Example: alspec datasets list
    """
    from alspec.cli import plugins as commands

    commands.list_plugins(("alspec.datasets",), as_json=as_json)


@datasets_app.command("make")
def datasets_make(
    kind: Annotated[str, typer.Argument(help="cityscapes, voc or a2d2.", show_default=False)],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The new dataset's root.", show_default=False)
    ],
    images: Annotated[int, typer.Option(help="To label; a third as many more measure.")] = 96,
    height: Annotated[int, typer.Option(min=16, help="Of the images, in pixels.")] = 128,
    width: Annotated[int, typer.Option(min=16, help="Of the images, in pixels.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawings.")] = 0,
) -> None:
    """Draw a small dataset in the official tree of a kind, to try a spec without the data."""
    from alspec.cli import datasets as commands

    commands.make(kind, folder, images, (height, width), seed)


@datasets_app.command("check")
def datasets_check(
    what: Annotated[str, typer.Argument(metavar="SPEC|KIND", help="A study spec, or a kind.")],
    root: Annotated[
        Path | None, typer.Argument(help="The root of a dataset of that kind; not for a spec.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Read every file of a dataset: counts, sizes, labels, damage, the share of each class."""
    from alspec.cli import datasets as commands

    commands.check(what, root, overrides or ())


def main() -> None:
    """Run a command; errors of ours are told without a traceback and give their exit code."""
    forget_current_folder()
    for name in ("SIGTERM", "SIGUSR1", "SIGHUP"):  # Windows has no SIGUSR1
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)
    try:
        app(prog_name="alspec")
    except AlspecError as error:
        from alspec.cli import console

        console.say_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.CTRL_C)


def _interrupt(number: int, _frame: object) -> None:
    name = signal.Signals(number).name
    raise Interrupted(f"stopped by {name}; the same command goes on from here")
