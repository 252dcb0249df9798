"""Known bugs, by what they are about; planted one at a time, each must turn the fast tests red (`make mutants`)."""

from __future__ import annotations

from tests.mutants.electing import ELECTING
from tests.mutants.machines import MACHINES
from tests.mutants.mutant import Mutant
from tests.mutants.planning import PLANNING
from tests.mutants.reading import READING
from tests.mutants.running import RUNNING

MUTANTS = (*PLANNING, *ELECTING, *RUNNING, *MACHINES, *READING)

__all__ = ["MUTANTS", "Mutant"]
