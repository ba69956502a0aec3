"""How jobs run on a machine: a file of ``jobs/sites``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict, model_validator

from dassim.config.explain import refuse
from dassim.config.schema.section import Count, Section

Words = Annotated[tuple[str, ...], Strict(False)]


class Costs(Section):
    """What messages cost there, for predictions. The defaults: two cores of one machine, through
    shared memory (``tools/benchmarks/halo``)."""

    latency: Annotated[float, Field(ge=0)] = 7e-6
    """Seconds that a message takes, however short."""
    bandwidth: Annotated[float, Field(gt=0)] = 1e10
    """Bytes of messages a second, of one rank."""
    speed: Annotated[float, Field(gt=0)] = 1.0
    """How many times as fast a rank computes as the core that makes the prediction."""


class Site(Section):
    """What differs from one cluster to the next."""

    description: str
    """What kind of machine it is."""
    launch: Annotated[str, Field(examples=["srun --mpi=pmix"])] = "srun --mpi=pmix"
    """Starts the ranks of a job."""
    partition: str | None = None
    """Partition that jobs go to; the cluster's own choice when left out."""
    account: str | None = None
    """Account that pays."""
    ranks_per_node: Count = 1
    """Ranks that a node takes."""
    cores_per_rank: Count = 1
    """Cores of a rank."""
    gpus_per_node: Annotated[int, Field(ge=0)] = 0
    """GPUs of a node; where there are any, every rank has one for itself."""
    memory_of_gpu: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of its GPU's memory that a rank takes at its start; the rest is left to MPI."""
    cuda_aware_mpi: bool = False
    """Whether its MPI takes messages in the memory of a GPU."""
    keep_compiled: bool = True
    """Whether compiled programs stay in the run's folder for its next start. Of no use with Open
    MPI: the programs hold its communicators' addresses, which differ from process to process."""
    modules: Words = ()
    """Modules to load."""
    setup: Words = ()
    """Lines of shell before anything runs."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Variables to set."""
    options: Words = ()
    """More options of sbatch."""
    container: str | None = None
    """Image (.sif) in which ranks run; the clone's own installation when left out."""
    container_command: Annotated[str, Field(examples=["apptainer exec --nv"])] = "apptainer exec"
    """Runs a command in the image."""

    costs: Costs = Costs()
    """What messages cost, see ``dassim check --predict``."""

    @model_validator(mode="after")
    def _check_gpus(self):
        if 0 < self.gpus_per_node < self.ranks_per_node:
            found = f"{self.ranks_per_node} ranks on a node with {self.gpus_per_node} GPUs"
            raise refuse("a GPU for every rank", "lower it", found=found, key="ranks_per_node")
        return self

    @model_validator(mode="after")
    def _check_container(self):
        if self.container and len(self.container.split()) != 1:
            found, remedy = f"'{self.container}'", "rename it, or name a link to it"
            raise refuse("a path without blanks", remedy, found=found, key="container")
        return self
