"""Plans the next step of a labelling project: train on what is labelled now, measure, choose.

Its keys hold the SHA-256 of the masks that are used and nothing of the other files, so that a new
mask invalidates nothing that is finished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from alspec.acquisition.base import Need
from alspec.datasets.base import ImageId
from alspec.datasets.files.resizing import RESIZING
from alspec.plan.absolute_paths import with_absolute_paths
from alspec.plan.arms import Arm, acquisition_function
from alspec.plan.dag import LabelledSet, Plan, Run, Setting
from alspec.plan.expand import acquire_params, train_params
from alspec.plan.kinds import ACQUIRE, EVALUATE, TRAIN
from alspec.plan.kinds.acquire import GivenParams
from alspec.plan.kinds.evaluate import EvaluateParams
from alspec.plan.model_files import ModelFiles, model_files
from alspec.plan.pools import ListedPool, check_sizes, open_pools
from alspec.plan.step import Step, StepKey
from alspec.spec.model import Budget, Method, Study
from alspec.spec.project import Project

File = tuple[ImageId, str, str]
"""An image, the SHA-256 of its file and of its mask's."""

RANDOM = Method(name="random", label="random")


@dataclass(frozen=True)
class LabelledNow:
    """What a project's files say at a moment.

    Attributes:
        train: labelled images to train on, by id.
        check: labelled check images, a group a batch, by id; empty where the dataset has a val.
        apart: ids that SSL may not see: rejected ones and check images.
        excluded: ids that may not be chosen: those, and what was asked for.
    """

    train: Sequence[File]
    check: Sequence[Sequence[File]] = ()
    apart: Sequence[ImageId] = ()
    excluded: Sequence[ImageId] = ()


@dataclass(frozen=True)
class ProjectPlan:
    """A plan, and which of its steps say what.

    Attributes:
        plan: what a run needs.
        pool: the step that lists all images and measures their redundancy.
        given: the labelled set.
        train: the training on it; None for a plan of the pool alone.
        acquire: the choice that was asked for; its last ids in `selected.txt`.
        evaluations: for each training, this one and former ones, its evaluations.
    """

    plan: Plan
    pool: StepKey
    given: StepKey | None = None
    train: StepKey | None = None
    acquire: StepKey | None = None
    evaluations: Mapping[StepKey, Sequence[StepKey]] = field(default_factory=dict)


def as_study(project: Project, method: Method, *, ssl: bool) -> Study:
    """The study of one dataset and one method that a project's steps are those of."""
    return Study(
        study=project.project,
        datasets=(project.dataset,),
        budgets=(Budget(name="labelled", unit="images", initial=1, step=1, cycles=1),),
        methods=(method,),
        ssl=(ssl,),
        baselines=(),
        seeds=(project.seed,),
        model=project.model,
        pretrained=project.pretrained,
        training=project.training,
        s4gan=project.s4gan,
        keep="all",
    )


def plan_pool(project: Project) -> ProjectPlan:
    """The plan of the pool step alone, for its measured redundancy."""
    study = with_absolute_paths(as_study(project, RANDOM, ssl=False))
    pool = open_pools(study)[0]
    plan = Plan(study, {pool.step.key: pool.step}, (), (_setting(pool, 0),))
    return ProjectPlan(plan, pool.step.key)


def plan_project(
    project: Project,
    now: LabelledNow,
    *,
    method: Method = RANDOM,
    ssl: bool = False,
    ask: int = 0,
    former: Sequence[Sequence[Step]] = (),
    trust_config: bool = False,
) -> ProjectPlan:
    """Train on what is labelled, measure this and former models, and choose the next images.

    Args:
        project: the spec.
        now: what is labelled; at least one image.
        method: what chooses, and whether the model has dropout layers for it.
        ssl: train with s4GAN.
        ask: images to choose; 0 plans no choice.
        former: labelled set and training of each earlier model whose weights are there, to be
            measured on the same images.
        trust_config: training may run the project's own MMSegmentation config file.

    Raises:
        InputError: files that are not there, or sizes that a batch cannot hold.
    """
    study = with_absolute_paths(as_study(project, method, ssl=ssl))
    files = model_files(study, trust_config=trust_config)
    check_sizes(study)
    pool = open_pools(study)[0]
    builder = _Builder(study, files, pool, now, Arm(ssl, _wants_dropout(method)))
    return builder.build(method, ask, former)


def _wants_dropout(method: Method) -> bool:
    return Need.PASSES in acquisition_function(method.name).needs


@dataclass
class _Builder:
    study: Study
    files: ModelFiles
    pool: ListedPool
    now: LabelledNow
    arm: Arm
    steps: dict[StepKey, Step] = field(default_factory=dict)

    def add(self, step: Step) -> StepKey:
        self.steps.setdefault(step.key, step)
        return step.key

    def build(self, method: Method, ask: int, former: Sequence[Sequence[Step]]) -> ProjectPlan:
        pool = self.add(self.pool.step)
        given = self._given()
        train = self._train(given)
        about = f"{self.study.study} {len(self.now.train)} labelled"
        evaluations = {train: self._evaluations(train, about)}
        for steps in former:
            old = [self.add(self._placed(step)) for step in steps][-1]
            if old not in evaluations:
                evaluations[old] = self._evaluations(old, steps[-1].label.removesuffix(" train"))
        acquire = self._acquire(method, ask, given, train, about) if ask else None
        run = self._run(acquire or given, train, evaluations[train])
        setting = _setting(self.pool, len(self.now.train))
        plan = Plan(self.study, self.steps, (run,), (setting,))
        return ProjectPlan(plan, pool, given, train, acquire, evaluations)

    def _placed(self, step: Step) -> Step:
        """A recorded step with the paths of this machine."""
        places: dict[str, Mapping[str, object]] = {"dataset": self.pool.place}
        if step.kind is TRAIN:
            places["model"] = self.files.local_paths
        return replace(step, local_paths=places)

    def _identity(self) -> dict[str, object]:
        """What decides pixels and labels beside the files."""
        spec = self.pool.spec
        fields = spec.recipe_fields("redundancy", *type(spec).VALIDATION_ONLY)
        return {**fields, "resizing": RESIZING} if spec.image_size else fields

    def _given(self) -> StepKey:
        files = [list(file) for file in self.now.train]
        params = GivenParams(len(self.now.train), files, self._identity())
        label = f"{self.study.study} {len(self.now.train)} labelled"
        return self.add(
            Step(ACQUIRE, params.recipe(), {}, {"dataset": self.pool.place}, f"{label} set")
        )

    def _train(self, given: StepKey) -> StepKey:
        """Without SSL a training reads nothing of the pool, so new images do not touch it."""
        seed = self.study.seeds[0]
        params = train_params(self.study, self.files, self.pool, self.arm, seed)
        inputs = {"labelled": given}
        if self.arm.ssl:
            inputs["pool"] = self.pool.step.key
            params = replace(params, excluded=sorted(self.now.apart))
        places = {"dataset": self.pool.place, "model": self.files.local_paths}
        label = f"{self.study.study} {len(self.now.train)} labelled train"
        return self.add(Step(TRAIN, params.recipe(), inputs, places, label))

    def _evaluations(self, train: StepKey, about: str) -> tuple[StepKey, ...]:
        """On the validation images, or on the check images of each batch."""
        if self.pool.validation_images:
            asked = [EvaluateParams(self.pool.validation, by_image=True)]
        else:
            groups = [[list(file) for file in group] for group in self.now.check if group]
            identity = self._identity()
            asked = [EvaluateParams(identity, files=files, by_image=True) for files in groups]
        places = {"dataset": self.pool.place}
        return tuple(
            self.add(
                Step(
                    EVALUATE,
                    params.recipe(),
                    {"train": train},
                    places,
                    f"{about} evaluate {number}",
                )
            )
            for number, params in enumerate(asked, start=1)
        )

    def _acquire(
        self, method: Method, ask: int, given: StepKey, train: StepKey, about: str
    ) -> StepKey:
        params = acquire_params(method, len(self.now.train) + ask, self.study.seeds[0])
        params = replace(params, excluded=sorted(self.now.excluded))
        inputs = {"pool": self.pool.step.key, "labelled": given}
        if acquisition_function(method.name).needs:
            inputs["train"] = train
        places = {"dataset": self.pool.place}
        return self.add(Step(ACQUIRE, params.recipe(), inputs, places, f"{about} acquire"))

    def _run(self, acquire: StepKey, train: StepKey, evaluations: Sequence[StepKey]) -> Run:
        """For the estimates of time and disk: what trains, measures and chooses."""
        images = len(self.now.train)
        percent = 100 * images / len(self.pool.frames)
        method = self.study.methods[0]
        measured = evaluations[0] if evaluations else train  # nothing to measure on yet
        labelled = LabelledSet(0, images, percent, acquire, train, measured)
        return Run(
            dataset=self.pool.spec.name,
            pool=self.pool.name,
            budget="labelled",
            method=method.label,
            family=acquisition_function(method.name).family.value,
            ssl=self.arm.ssl,
            mc_dropout=self.arm.mc_dropout,
            seed=self.study.seeds[0],
            budget_percent=(percent,),
            sets=(labelled,),
        )


def _setting(pool: ListedPool, labelled: int) -> Setting:
    return Setting(
        dataset=pool.spec.name,
        pool=pool.name,
        budget="labelled",
        pool_step=pool.step.key,
        pool_images=len(pool.frames),
        labelled_images=(labelled,),
        validation_images=pool.validation_images,
    )
