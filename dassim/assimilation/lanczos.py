"""Conjugate gradients in the form of Lanczos: solves ``A x = b`` and learns the spectrum of ``A``.

For ``A`` symmetric and positive definite. Lanczos (1952); Golub and Van Loan, "Matrix
computations", chapter 10. After ``k`` products the iterate is that of the conjugate gradients, and
the tridiagonal matrix ``T = Q^T A Q`` gives Ritz pairs (Fisher and Courtier 1995, ECMWF Tech. Memo.
220). Every new vector is made orthogonal to all before, twice: without it, converged pairs come
back as copies.

An iteration sends two messages for its inner products. The state between two iterations is a
record of arrays and numbers and goes on bitwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dassim.assimilation.control import AbstractSpace, combination
from dassim.assimilation.lbfgs import Stop
from dassim.assimilation.tables import plain_table
from dassim.simulation.trees import named_leaves, tree_from_named


@dataclass(frozen=True)
class Krylov:
    """``k`` iterations: ``basis`` of k + 1 orthonormal vectors, ``T`` of ``diagonal`` (k) and
    ``beside`` (k), of which the last couples to the next vector; ``norm`` is ``|b|``.

    The basis ends with the k-th vector where the Krylov space is exhausted (``beside[-1] == 0``).
    """

    basis: tuple[Any, ...]
    norm: float
    diagonal: tuple[float, ...] = ()
    beside: tuple[float, ...] = ()

    @classmethod
    def of(cls, right: Any, norm: float) -> Krylov:
        """Before the first iteration, for the right-hand side ``b`` of length ``norm``."""
        return cls((combination([1.0 / norm if norm > 0.0 else 0.0], [right]),), norm)

    @property
    def iterations(self) -> int:
        return len(self.diagonal)

    @property
    def tridiagonal(self) -> np.ndarray:
        """``T``, ``(k, k)``."""
        return np.diag(self.diagonal) + np.diag(self.beside[:-1], 1) + np.diag(self.beside[:-1], -1)

    @property
    def coefficients(self) -> np.ndarray:
        """The solution in the basis, ``(k,)``."""
        right = np.zeros(self.iterations)
        right[:1] = self.norm
        return np.linalg.solve(self.tridiagonal, right)

    @property
    def residual(self) -> float:
        """``|b - A x| / |b|``."""
        return abs(self.beside[-1] * self.coefficients[-1]) / self.norm if self.beside else 1.0

    @property
    def decrease(self) -> float:
        """By how much the iterate lowers ``x.A x / 2 - b.x``."""
        return 0.5 * self.norm * self.coefficients[0] if self.beside else 0.0

    def solution(self) -> Any:
        if not self.iterations:
            return combination([0.0], self.basis[:1])
        return combination(self.coefficients.tolist(), self.basis[: self.iterations])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """This rank's part as named arrays, for :meth:`from_arrays`."""
        arrays = {"norm": self.norm, "diagonal": self.diagonal, "beside": self.beside}
        for i, vector in enumerate(self.basis):
            arrays |= named_leaves(vector, f"basis.{i}")
        return {name: np.asarray(value) for name, value in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], like: Any) -> Krylov:
        diagonal, beside = (tuple(np.asarray(arrays[n]).tolist()) for n in ("diagonal", "beside"))
        count = len(diagonal) + (not beside or beside[-1] != 0.0)
        basis = tuple(tree_from_named(arrays, like, f"basis.{i}") for i in range(count))
        return cls(basis, float(arrays["norm"]), diagonal, beside)


@dataclass(frozen=True)
class RitzPairs:
    """Approximate eigenpairs of ``A``, largest first.

    ``errors``: each value lies within its error of an eigenvalue. Vectors have unit length.
    """

    values: np.ndarray
    errors: np.ndarray
    vectors: tuple[Any, ...]

    def __str__(self) -> str:
        pairs = zip(self.values.tolist(), self.errors.tolist(), strict=True)
        rows = [[i, value, error] for i, (value, error) in enumerate(pairs)]
        return plain_table(["pair", "value", "error"], rows)

    def inverse_reductions(self) -> list[tuple[float, Any]]:
        """Pairs ``(1 - 1/value, vector)``: ``A^-1 = I - sum weight vector vector^T`` where all
        other eigenvalues of ``A`` are 1.

        For the Hessian of 4D-Var, ``I + G^T G``, that is the covariance of analysis errors in the
        control vector.
        """
        return [
            (float(1.0 - 1.0 / value), vector)
            for value, vector in zip(self.values, self.vectors, strict=True)
        ]


def lanczos(
    operator: Callable[[Any], Any],
    right: Any,
    space: AbstractSpace,
    *,
    iterations: int = 50,
    tolerance: float = 1e-6,
    on_iteration: Callable[[Krylov], None] | None = None,
) -> tuple[Krylov, Stop]:
    """Solve ``A x = b``, ``operator`` and ``right``, until ``|b - A x| <= tolerance |b|``.

    In place of ``right`` a :class:`Krylov` goes on from there.
    """
    begun = isinstance(right, Krylov)
    krylov = right if begun else Krylov.of(right, math.sqrt(space.dot(right, right)))
    while True:
        if not math.isfinite(krylov.norm):
            return krylov, Stop.NON_FINITE
        if krylov.norm == 0.0 or krylov.residual <= tolerance:
            return krylov, Stop.GRADIENT
        if krylov.iterations >= iterations:
            return krylov, Stop.ITERATIONS
        longer = _extended(operator, krylov, space)
        if longer is None:
            return krylov, Stop.NON_FINITE
        krylov = longer
        if on_iteration is not None:
            on_iteration(krylov)


def ritz_pairs(krylov: Krylov, *, tolerance: float = 1e-2) -> RitzPairs:
    """The pairs whose error is at most ``tolerance`` times their value."""
    values, vectors = np.linalg.eigh(krylov.tridiagonal)
    errors = np.abs(krylov.beside[-1] * vectors[-1])
    good = [i for i in np.argsort(-values) if errors[i] <= tolerance * values[i]]
    basis = krylov.basis[: krylov.iterations]
    return RitzPairs(
        values[good],
        errors[good],
        tuple(combination(vectors[:, i].tolist(), basis) for i in good),
    )


def inverse_bound(krylov: Krylov) -> list[tuple[float, Any]]:
    """Pairs ``(weight, vector)`` with ``A^-1 <= I - sum weight vector vector^T``, where no
    eigenvalue of ``A`` is below 1: as many as iterations, after any number of them.

    In the Lanczos vectors ``Q``, the next one ``q`` and all others ``A`` is ``[T, b e q^T;
    q b e^T, C]`` with ``e`` the last unit vector. ``A >= 1`` asks of the rest, by the Schur
    complement, ``C >= 1 + c q q^T`` with ``c = b^2 e^T (T - 1)^-1 e``. So ``A >= M = [T, b e;
    b e^T, 1 + c]`` on the span of ``Q`` and ``q``, and 1 elsewhere. ``M`` is the matrix of the
    Gauss-Radau rule with the node 1: Golub and Meurant (2010), "Matrices, moments and quadrature",
    chapter 6.
    """
    k = krylov.iterations
    matrix = np.eye(len(krylov.basis))
    matrix[:k, :k] = krylov.tridiagonal
    if len(krylov.basis) > k > 0:
        values, vectors = np.linalg.eigh(krylov.tridiagonal)
        above = np.maximum(values - 1.0, 1e-12 * values[-1])
        matrix[k, k - 1] = matrix[k - 1, k] = krylov.beside[-1]
        matrix[k, k] += np.sum((krylov.beside[-1] * vectors[-1]) ** 2 / above)
    values, vectors = np.linalg.eigh(matrix)
    chosen = np.argsort(-values)[:k]
    return [
        (float(1.0 - 1.0 / values[i]), combination(vectors[:, i].tolist(), krylov.basis))
        for i in chosen
    ]


def _extended(
    operator: Callable[[Any], Any], krylov: Krylov, space: AbstractSpace
) -> Krylov | None:
    """One iteration more; ``None`` where ``operator`` gives something that is not finite."""
    basis = krylov.basis
    product = operator(basis[-1])
    along = space.products([product], [*basis, product])[0]
    size = math.sqrt(along[-1]) if along[-1] >= 0 else math.nan
    if not math.isfinite(size):
        return None
    vector = combination([1.0, *(-along[:-1]).tolist()], [product, *basis])
    again = space.products([vector], [*basis, vector])[0]
    vector = combination([1.0, *(-again[:-1]).tolist()], [vector, *basis])
    diagonal = (*krylov.diagonal, float(along[-2] + again[-2]))
    left = math.sqrt(max(0.0, float(again[-1] - np.sum(again[:-1] ** 2))))
    if left <= 1e-14 * size:
        return Krylov(basis, krylov.norm, diagonal, (*krylov.beside, 0.0))
    new = combination([1.0 / left], [vector])
    return Krylov((*basis, new), krylov.norm, diagonal, (*krylov.beside, left))
