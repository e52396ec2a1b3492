"""Sixteen Cox or logistic models at once: the arithmetic of `marker_models`, compiled.

Imported only where needed, because importing Numba takes half a second. A `Lanes` is a vector of 16 doubles,
one a marker, that the compiler keeps in vector registers. Every operation acts on all lanes alike, so a
marker's answer cannot depend on its lane nor on its neighbours.

Columns are arm, marker in the control arm, marker in the experimental arm, covariates (logistic: an intercept a
stratum before them): each subject then adds to the sums of its own arm only, and every model of interest is these
columns with some of them held at 0 or made equal (`maps` of `fit_tiles`).

References
----------
Efron B. JASA 1977;72:557-565.
Venzon DJ, Moolgavkar SH. Applied Statistics 1988;37:87-94 (profile limits by Newton's method).
"""

# Numba infers types; its lowering functions have a fixed form. S, I, ... are blocks of a scratch array.
# ruff: noqa: ANN001, ANN201, ANN202, E741

from __future__ import annotations

import operator

import numba as nb
import numpy as np
from numba.core import cgutils, types
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

#: The intermediate representation of llvmlite, which comes with Numba.
ir = cgutils.ir

#: Markers in a tile: two of the widest vector registers hide each other's latency.
WIDTH = 16

_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_BITS = ir.VectorType(ir.IntType(64), WIDTH)


class LanesType(types.Type):
    """Numba type of a vector of `WIDTH` doubles."""

    def __init__(self) -> None:
        super().__init__(name=f"Lanes{WIDTH}")


lanes_type = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type) -> None:
        super().__init__(manager, fe_type, _VECTOR)


def _operator(function, emit) -> None:
    @infer_global(function)
    class _Typing(AbstractTemplate):
        def generic(self, args, kws):
            if len(args) == 2 and all(isinstance(arg, LanesType) for arg in args):
                return signature(lanes_type, *args)
            return None

    @lower_builtin(function, lanes_type, lanes_type)
    def _lower(context, builder, sig, args):
        return getattr(builder, emit)(*args)


for _function, _emit in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_function, _emit)


def _address(context, builder, array_type, array, row, vector):
    """Pointer to a row of `WIDTH` numbers of a flat array."""
    data = context.make_array(array_type)(context, builder, array).data
    first = builder.mul(row, ir.Constant(row.type, WIDTH))
    return builder.bitcast(builder.gep(data, [first]), vector.as_pointer())


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_VECTOR, [ir.Constant(ir.DoubleType(), value)] * WIDTH)


def _bits(value: int) -> ir.Constant:
    return ir.Constant(_BITS, [ir.Constant(ir.IntType(64), value)] * WIDTH)


@intrinsic
def load(typingctx, array, row):
    """Return the lanes of one row of a flat array."""
    if array.layout != "C":
        raise nb.errors.TypingError("lanes are of arrays without gaps")

    def codegen(context, builder, sig, args):
        place = _address(context, builder, sig.args[0], args[0], args[1], _VECTOR)
        return builder.load(place, align=8)

    return lanes_type(array, types.intp), codegen


@intrinsic
def store(typingctx, array, row, value):
    """Write lanes into one row of a flat array."""

    def codegen(context, builder, sig, args):
        place = _address(context, builder, sig.args[0], args[0], args[1], _VECTOR)
        builder.store(args[2], place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes_type), codegen


@intrinsic
def splat(typingctx, value):
    """Return a number in every lane."""

    def codegen(context, builder, sig, args):
        empty = ir.Constant(_VECTOR, ir.Undefined)
        place = ir.IntType(32)
        one = builder.insert_element(empty, args[0], ir.Constant(place, 0))
        first = ir.Constant(ir.VectorType(place, WIDTH), [ir.Constant(place, 0)] * WIDTH)
        return builder.shuffle_vector(one, empty, first)

    return lanes_type(types.float64), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """Return a b + c, rounded once where the processor can."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        call = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{WIDTH}f64")
        return builder.call(call, args)

    return lanes_type(lanes_type, lanes_type, lanes_type), codegen


@intrinsic
def fnma(typingctx, a, b, c):
    """Return c - a b."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        call = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{WIDTH}f64")
        return builder.call(call, [builder.fsub(_constant(-0.0), args[0]), args[1], args[2]])

    return lanes_type(lanes_type, lanes_type, lanes_type), codegen


@intrinsic
def one_where_idle(typingctx, active, value):
    """Return the value where active is positive, else 1."""

    def codegen(context, builder, sig, args):
        return builder.select(
            builder.fcmp_ordered(">", args[0], _constant(0.0)), args[1], _constant(1.0)
        )

    return lanes_type(lanes_type, lanes_type), codegen


@intrinsic
def one_where_more(typingctx, count, taken):
    """Return 1 where count exceeds taken, else 0."""

    def codegen(context, builder, sig, args):
        return builder.select(
            builder.fcmp_ordered(">", args[0], args[1]), _constant(1.0), _constant(0.0)
        )

    return lanes_type(lanes_type, lanes_type), codegen


@intrinsic
def larger(typingctx, a, b):
    """Return the larger of two numbers in every lane."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[0], args[1])

    return lanes_type(lanes_type, lanes_type), codegen


@intrinsic
def sum_of(typingctx, value):
    """Return the sum of the lanes as a number, halves first."""

    def codegen(context, builder, sig, args):
        places = (ir.Constant(ir.IntType(32), lane) for lane in range(WIDTH))
        parts = [builder.extract_element(args[0], place) for place in places]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(*pair) for pair in zip(parts[:half], parts[half:], strict=True)]
        return parts[0]

    return types.float64(lanes_type), codegen


@intrinsic
def set_exponent(typingctx, mantissa, shifted):
    """Multiply by two to the power that stands in the low bits of `shifted`."""

    def codegen(context, builder, sig, args):
        power = builder.shl(builder.bitcast(args[1], _BITS), _bits(52))
        return builder.bitcast(builder.add(builder.bitcast(args[0], _BITS), power), _VECTOR)

    return lanes_type(lanes_type, lanes_type), codegen


@intrinsic
def take_exponent(typingctx, value, exponents):
    """Return the mantissa in [1, 2) of positive lanes, and add their biased exponents to a flat array."""

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[0], _BITS)
        zero = ir.Constant(ir.IntType(64), 0)
        place = _address(context, builder, sig.args[1], args[1], zero, _BITS)
        sums = builder.add(builder.load(place, align=8), builder.lshr(bits, _bits(52)))
        builder.store(sums, place, align=8)
        bits = builder.or_(builder.and_(bits, _bits((1 << 52) - 1)), _bits(1023 << 52))
        return builder.bitcast(bits, _VECTOR)

    return lanes_type(lanes_type, exponents), codegen


_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
#: Adding it leaves the nearest integer in the low bits (Cody & Waite's reduction).
_SHIFT = 6755399441055744.0
#: Beyond this a predictor's exponential leaves the range in which sums and squares are safe.
FARTHEST = 200.0


#: Compiled once, into the function that Python calls.
_INNER = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


@nb.njit(inline="always")
def exponential(x):
    """Return e to the power x for |x| < 700, to the last bit or two."""
    shifted = fma(x, splat(_LOG2E), splat(_SHIFT))
    k = shifted - splat(_SHIFT)
    r = fnma(k, splat(_LN2_LOW), fnma(k, splat(_LN2_HIGH), x))
    p = splat(2.08767569878681e-09)
    p = fma(p, r, splat(2.505210838544172e-08))
    p = fma(p, r, splat(2.755731922398589e-07))
    p = fma(p, r, splat(2.7557319223985893e-06))
    p = fma(p, r, splat(2.48015873015873e-05))
    p = fma(p, r, splat(0.0001984126984126984))
    p = fma(p, r, splat(0.001388888888888889))
    p = fma(p, r, splat(0.008333333333333333))
    p = fma(p, r, splat(0.041666666666666664))
    p = fma(p, r, splat(0.16666666666666666))
    p = fma(p, r, splat(0.5))
    p = fma(p, r, splat(1.0))
    p = fma(p, r, splat(1.0))
    return set_exponent(p, shifted)


# Rows of a tile's flat scratch array; k is the number of columns (3 + covariates), packed lower triangles.
#   0                  coefficients (k)
#   k                  score (k)
#   2k                 information (packed)
#   2k + k(k+1)/2      log-likelihood, mantissa (of the product whose logarithm it lacks)
# then, with covariates, the running sums and their copies: see `_evaluate_covariates`.


@nb.njit(inline="always")
def packed(row, column):
    """Return where an element of a lower triangle stands (row >= column)."""
    return row * (row + 1) // 2 + column


@nb.njit(**_INNER)
def _evaluate_plain(S, Z, X, V, masked, arm, died, first, size, dead, fresh):
    """Score and information without covariates, for every lane; sums stay in registers."""
    a, b0, b1 = load(S, 0), load(S, 1), load(S, 2)
    zero, one = splat(0.0), splat(1.0)
    w0 = w1 = p0 = p1 = q0 = q1 = zero
    u_a = u_0 = u_1 = zero
    i_aa = i_0a = i_00 = i_1a = i_10 = i_11 = zero
    product = one
    passes = 0
    for g in range(first.shape[0]):
        if fresh[g]:
            w0 = w1 = p0 = p1 = q0 = q1 = zero
        tied = dead[g] > 1
        d0 = d1 = e0 = e1 = f0 = f1 = zero
        count = zero
        for i in range(first[g], first[g] + size[g]):
            v = load(X, i)
            w = exponential(fma(b1, v, a) if arm[i] else b0 * v)
            if masked:
                seen = load(V, i)
                w = w * seen
                if died[i]:
                    count = count + seen
            elif died[i]:
                count = count + one
            wv = w * v
            if arm[i]:
                w1 = w1 + w
                p1 = p1 + wv
                q1 = fma(wv, v, q1)
            else:
                w0 = w0 + w
                p0 = p0 + wv
                q0 = fma(wv, v, q0)
            if tied and died[i]:
                if arm[i]:
                    d1 = d1 + w
                    e1 = e1 + wv
                    f1 = fma(wv, v, f1)
                else:
                    d0 = d0 + w
                    e0 = e0 + wv
                    f0 = fma(wv, v, f0)
        for taken in range(dead[g]):
            s0, s1, m0, m1, v0, v1 = w0, w1, p0, p1, q0, q1
            if tied:
                share = splat(float(taken)) / one_where_idle(count, count)
                s0 = fnma(share, d0, s0)
                s1 = fnma(share, d1, s1)
                m0 = fnma(share, e0, m0)
                m1 = fnma(share, e1, m1)
                v0 = fnma(share, f0, v0)
                v1 = fnma(share, f1, v1)
            total = s0 + s1
            inverse = one
            if masked:
                active = one_where_more(count, splat(float(taken)))
                total = one_where_idle(active, total)
                inverse = active
            inverse = inverse / total
            s1, m0, m1 = s1 * inverse, m0 * inverse, m1 * inverse
            u_a, u_0, u_1 = u_a - s1, u_0 - m0, u_1 - m1
            i_aa = i_aa + fnma(s1, s1, s1)
            i_0a = fnma(s1, m0, i_0a)
            i_00 = i_00 + fnma(m0, m0, v0 * inverse)
            i_1a = i_1a + fnma(s1, m1, m1)
            i_10 = fnma(m0, m1, i_10)
            i_11 = i_11 + fnma(m1, m1, v1 * inverse)
            product = take_exponent(product * total, Z)
            passes += 1
    store(S, 3, u_a)
    store(S, 4, u_0)
    store(S, 5, u_1)
    store(S, 6, i_aa)
    store(S, 7, i_0a)
    store(S, 8, i_00)
    store(S, 9, i_1a)
    store(S, 10, i_10)
    store(S, 11, i_11)
    store(S, 13, product)
    return passes


@nb.njit(**_INNER)
def _evaluate_covariates(S, Z, X, V, C, masked, arm, died, first, size, dead, fresh):
    """Score and information with covariates; sums of covariates stay in the scratch array.

    Rows from A: sums over the risk set of w, wx, wx² in either arm (6); w c in the control arm (c), in the
    experimental arm (c), w x c likewise (2c), w c c' (packed). Rows from D: the same over the tied deaths.
    From E: the same of the risk set less a share of the tied deaths. Then means of the k columns.
    """
    covariates = C.shape[1]
    k = 3 + covariates
    triangle = k * (k + 1) // 2
    sums = 6 + 4 * covariates + covariates * (covariates + 1) // 2
    A = 2 * k + triangle + 2
    D = A + sums
    E = D + sums
    M = E + sums
    U, I = k, 2 * k
    square = 6 + 4 * covariates
    zero, one = splat(0.0), splat(1.0)
    product = one
    passes = 0
    for row in range(U, I + triangle):
        store(S, row, zero)
    for g in range(first.shape[0]):
        if fresh[g]:
            for row in range(sums):
                store(S, A + row, zero)
        tied = dead[g] > 1
        if tied:
            for row in range(sums):
                store(S, D + row, zero)
        count = zero
        for i in range(first[g], first[g] + size[g]):
            v = load(X, i)
            predictor = load(S, 3) * splat(C[i, 0])
            for c in range(1, covariates):
                predictor = fma(load(S, 3 + c), splat(C[i, c]), predictor)
            side = 1 if arm[i] else 0
            if side:
                predictor = fma(load(S, 2), v, predictor + load(S, 0))
            else:
                predictor = fma(load(S, 1), v, predictor)
            w = exponential(predictor)
            if masked:
                seen = load(V, i)
                w = w * seen
                if died[i]:
                    count = count + seen
            elif died[i]:
                count = count + one
            wv = w * v
            for both in range(2 if tied and died[i] else 1):
                to = A if both == 0 else D
                at = to + 3 * side
                store(S, at, load(S, at) + w)
                store(S, at + 1, load(S, at + 1) + wv)
                store(S, at + 2, fma(wv, v, load(S, at + 2)))
                at = to + 6 + covariates * side
                for c in range(covariates):
                    value = splat(C[i, c])
                    store(S, at + c, fma(w, value, load(S, at + c)))
                    cross = at + 2 * covariates + c
                    store(S, cross, fma(wv, value, load(S, cross)))
                    wc = w * value
                    for e in range(c + 1):
                        place = to + square + packed(c, e)
                        store(S, place, fma(wc, splat(C[i, e]), load(S, place)))
        for taken in range(dead[g]):
            F = A
            if tied and taken > 0:
                F = E
                share = splat(float(taken)) / one_where_idle(count, count)
                for row in range(sums):
                    store(S, E + row, fnma(share, load(S, D + row), load(S, A + row)))
            total = load(S, F) + load(S, F + 3)
            inverse = one
            if masked:
                active = one_where_more(count, splat(float(taken)))
                total = one_where_idle(active, total)
                inverse = active
            inverse = inverse / total
            product = take_exponent(product * total, Z)
            passes += 1
            s1 = load(S, F + 3) * inverse
            m0 = load(S, F + 1) * inverse
            m1 = load(S, F + 4) * inverse
            store(S, U, load(S, U) - s1)
            store(S, U + 1, load(S, U + 1) - m0)
            store(S, U + 2, load(S, U + 2) - m1)
            store(S, I, load(S, I) + fnma(s1, s1, s1))
            store(S, I + 1, fnma(s1, m0, load(S, I + 1)))
            store(S, I + 2, load(S, I + 2) + fnma(m0, m0, load(S, F + 2) * inverse))
            store(S, I + 3, load(S, I + 3) + fnma(s1, m1, m1))
            store(S, I + 4, fnma(m0, m1, load(S, I + 4)))
            store(S, I + 5, load(S, I + 5) + fnma(m1, m1, load(S, F + 5) * inverse))
            for c in range(covariates):
                control = F + 6 + c
                experimental = control + covariates
                in_arm = load(S, experimental) * inverse
                mean = fma(load(S, control), inverse, in_arm)
                store(S, M + c, mean)
                store(S, U + 3 + c, load(S, U + 3 + c) - mean)
                place = I + packed(3 + c, 0)
                store(S, place, load(S, place) + fnma(s1, mean, in_arm))
                cross = load(S, control + 2 * covariates) * inverse
                store(S, place + 1, load(S, place + 1) + fnma(m0, mean, cross))
                cross = load(S, experimental + 2 * covariates) * inverse
                store(S, place + 2, load(S, place + 2) + fnma(m1, mean, cross))
                for e in range(c + 1):
                    own = load(S, F + square + packed(c, e)) * inverse
                    other = place + 3 + e
                    store(S, other, load(S, other) + fnma(load(S, M + e), mean, own))
    store(S, 2 * k + triangle + 1, product)
    return passes


@nb.njit(**_INNER)
def _evaluate_logistic(S, Z, X, V, Y, C, masked, arm, first, size, stratum):
    """Score and information of logistic models, cell of stratum × arm after cell; sums stay in registers.

    The first columns of C are indicators of the strata. Y holds the probabilities and weights of a cell's
    subjects, 2 rows a subject, where other covariates need them. The intercept of a stratum without subjects stays
    where it is: it has no score, and an information of its own of 1.
    """
    columns = C.shape[1]
    strata = 0
    for g in range(stratum.shape[0]):
        strata = max(strata, stratum[g] + 1)
    k = 3 + columns
    U, I = k, 2 * k
    for row in range(U, I + k * (k + 1) // 2):
        store(S, row, splat(0.0))
    zero, one = splat(0.0), splat(1.0)
    product = one
    passes = pending = 0
    for g in range(first.shape[0]):
        start, stop = first[g], first[g] + size[g]
        side = 1 if arm[start] else 0
        own = 3 + stratum[g]
        level, slope = load(S, own), load(S, 1 + side)
        if side:
            level = level + load(S, 0)
        u = u_v = i = i_v = i_vv = zero
        for row in range(start, stop):
            v = load(X, row)
            predictor = fma(slope, v, level)
            for c in range(strata, columns):
                predictor = fma(load(S, 3 + c), splat(C[row, c]), predictor)
            odds = exponential(predictor)
            if masked:
                odds = odds * load(V, row)
            total = one + odds
            product = product * total
            pending += 1
            # three factors below exp(FARTHEST) do not overflow
            if pending == 3:
                product = take_exponent(product, Z)
                passes += 1
                pending = 0
            inverse = one / total
            chance = odds * inverse
            weight = chance * inverse
            carried = weight * v
            u = u + chance
            u_v = fma(chance, v, u_v)
            i = i + weight
            i_v = i_v + carried
            i_vv = fma(carried, v, i_vv)
            if strata < columns:
                store(Y, 2 * (row - start), chance)
                store(Y, 2 * (row - start) + 1, weight)
        slot = 1 + side
        store(S, U + own, load(S, U + own) - u)
        store(S, U + slot, load(S, U + slot) - u_v)
        at = I + packed(own, own)
        store(S, at, load(S, at) + i)
        store(S, I + packed(own, slot), i_v)
        at = I + packed(slot, slot)
        store(S, at, load(S, at) + i_vv)
        if side:
            store(S, U, load(S, U) - u)
            store(S, I, load(S, I) + i)
            store(S, I + packed(own, 0), i)
            at = I + packed(2, 0)
            store(S, at, load(S, at) + i_v)
        for c in range(strata, columns):
            u = i = i_v = i_c = zero
            for row in range(start, stop):
                value = splat(C[row, c])
                u = fma(load(Y, 2 * (row - start)), value, u)
                carried = load(Y, 2 * (row - start) + 1) * value
                i = i + carried
                i_v = fma(carried, load(X, row), i_v)
                i_c = fma(carried, value, i_c)
            store(S, U + 3 + c, load(S, U + 3 + c) - u)
            place = I + packed(3 + c, 0)
            if side:
                store(S, place, load(S, place) + i)
            store(S, place + slot, load(S, place + slot) + i_v)
            store(S, place + own, load(S, place + own) + i)
            store(S, place + 3 + c, load(S, place + 3 + c) + i_c)
            for e in range(strata, c):
                both = zero
                for row in range(start, stop):
                    weight = load(Y, 2 * (row - start) + 1)
                    both = fma(weight, splat(C[row, c] * C[row, e]), both)
                store(S, place + 3 + e, load(S, place + 3 + e) + both)
    for q in range(strata):
        at = I + packed(3 + q, 3 + q)
        store(S, at, one_where_idle(load(S, at), load(S, at)))
    store(S, I + k * (k + 1) // 2 + 1, take_exponent(product, Z))
    return passes + 1


@nb.njit(**_INNER)
def _evaluate(S, Z, T, X, V, Y, C, survival, masked, arm, died, first, size, dead, fresh, stratum):
    """Fill score, information and log-likelihood at the coefficients in S; T holds sums over deaths (k rows)."""
    k = 3 + C.shape[1]
    for j in range(WIDTH):
        Z[j] = 0
    if not survival:
        passes = _evaluate_logistic(S, Z, X, V, Y, C, masked, arm, first, size, stratum)
    elif C.shape[1] == 0:
        passes = _evaluate_plain(S, Z, X, V, masked, arm, died, first, size, dead, fresh)
    else:
        passes = _evaluate_covariates(S, Z, X, V, C, masked, arm, died, first, size, dead, fresh)
    loglik = (2 * k + k * (k + 1) // 2) * WIDTH
    for j in range(WIDTH):
        # every pass adds the exponent's bias of 1023 once
        S[loglik + j] = -(
            np.log(S[loglik + WIDTH + j]) + 0.6931471805599453 * float(Z[j] - 1023 * passes)
        )
    for c in range(k):
        at = loglik // WIDTH
        store(S, at, fma(load(T, c), load(S, c), load(S, at)))
        store(S, k + c, load(S, k + c) + load(T, c))


@nb.njit(**_INNER)
def _reduce(S, k, which, R, free):
    """Score and information of the free parameters, and their LDL' factors, into R.

    `which` gives for each column the parameter that is its coefficient, -1 where that is held at 0.
    Rows of R: score (free), information (packed), factor L and D (packed), score solved (free).
    """
    triangle = free * (free + 1) // 2
    for row in range(free + triangle):
        store(R, row, splat(0.0))
    for r in range(k):
        to = which[r]
        if to < 0:
            continue
        store(R, to, load(R, to) + load(S, k + r))
        for s in range(r + 1):
            other = which[s]
            if other < 0:
                continue
            value = load(S, 2 * k + packed(r, s))
            if other == to and r != s:
                value = value + value
            at = free + (packed(to, other) if to >= other else packed(other, to))
            store(R, at, load(R, at) + value)
    I, F = free, free + triangle
    for r in range(free):
        for s in range(r + 1):
            value = load(R, I + packed(r, s))
            for t in range(s):
                value = fnma(
                    load(R, F + packed(r, t)) * load(R, F + packed(t, t)),
                    load(R, F + packed(s, t)),
                    value,
                )
            if s < r:
                value = value / load(R, F + packed(s, s))
            store(R, F + packed(r, s), value)


@nb.njit(**_INNER)
def _solve(R, free, source, target):
    """Solve the factored information for the lanes in rows from `source`, into rows from `target`."""
    F = free + free * (free + 1) // 2
    for r in range(free):
        value = load(R, source + r)
        for s in range(r):
            value = fnma(load(R, F + packed(r, s)), load(R, target + s), value)
        store(R, target + r, value)
    for r in range(free):
        store(R, target + r, load(R, target + r) / load(R, F + packed(r, r)))
    for back in range(free):
        r = free - 1 - back
        value = load(R, target + r)
        for s in range(r + 1, free):
            value = fnma(load(R, F + packed(s, r)), load(R, target + s), value)
        store(R, target + r, value)


@nb.njit(**_INNER)
def _sound(R, free, lane, smallest):
    """Whether the information of a lane is positive definite with some margin."""
    I = free
    F = free + free * (free + 1) // 2
    for r in range(free):
        at = packed(r, r)
        own = R[(I + at) * WIDTH + lane]
        if not (own > 0.0 and R[(F + at) * WIDTH + lane] > smallest * own):
            return False
    return True


@nb.njit(**_INNER)
def _too_far(S, k, largest, lane):
    """Whether a predictor of a lane may leave the safe range; `largest` holds each column's largest value."""
    bound = 0.0
    slope = 0.0
    for r in range(k):
        value = abs(S[r * WIDTH + lane]) * largest[r * WIDTH + lane]
        if r == 1 or r == 2:
            slope = max(slope, value)
        else:
            bound += value
    return not bound + slope < FARTHEST


#: Lane states.
CLIMBING, FOUND, LOST = 0, 1, 2
#: Newton stops where the decrement (squared step in standard errors) is below this; the last step is taken.
DECREMENT = 1e-11
STEPS = 14
#: Pivot of the information over its diagonal below which a marker needs care.
SMALLEST_PIVOT = 1e-7


@nb.njit(nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True)
def fit_tiles(
    survival,
    values,
    include,
    masked,
    members,
    rows,
    arm,
    died,
    first,
    size,
    dead,
    fresh,
    stratum,
    C,
    largest_covariate,
    start,
    maps,
    counts,
    kinds,
    levels,
    drop,
    exact,
    S,
    R,
    Z,
    X,
    V,
    T,
    Y,
    estimates,
    covariance,
    loglik,
    limits,
    centre,
    scale,
    span,
    state_out,
):
    """Fit the markers `members`, a tile after the other.

    Parameters (arrays; n subjects in the data, m that count, sorted by stratum and falling time or, for
    logistic models, by stratum and arm)
    ----------
    survival : Cox, else logistic
    values (p, n), include (p, n) : markers, and which values count (`masked`: else all do)
    members (q) : rows of `values` to fit
    rows (m) : subjects, in order; arm, died (or responded; m) of these; C (m, c) their covariates, which begin
        with indicators of the strata where the model is logistic
    first, size, dead, fresh (g) : Cox: tied times: first row, rows, deaths, whether a stratum begins
    first, size, stratum (g) : logistic: cells of stratum × arm: first row, rows, and the stratum's column in C
    start (k) : coefficients to start from
    maps (models, k), counts (models) : see `_reduce`; models in order, each started from the one before
    kinds (f), levels (f, p) : profile limits of the last model; 0 ratio of the arms' slopes, 1 treatment at a
        level of the marker, 2 slope in the control arm, 3 treatment at a level of 0
    drop (p) : by how much twice the log-likelihood falls at the limits
    exact : evaluate once more at each estimate, for its covariance
    S, R, Z, X, V, T, Y : scratch

    Results, a row a marker: estimates (p, models, k) of centred and scaled columns, covariance
    (p, models, packed; where `exact`), loglik (p, models), limits (p, f, 2; NaN where not
    found), centre, scale and span (p; span is the range of
    the last model's predictor), state_out (p) FOUND or LOST.
    """
    k = 3 + C.shape[1]
    triangle = k * (k + 1) // 2
    at_loglik = (2 * k + triangle) * WIDTH
    m = rows.shape[0]
    n_models = maps.shape[0]
    q = members.shape[0]
    zero, one = splat(0.0), splat(1.0)
    state = np.zeros(WIDTH, np.int64)
    lost = np.zeros(WIDTH, np.bool_)
    base = np.zeros(k * WIDTH)
    step = np.zeros(k * WIDTH)
    best = np.zeros(WIDTH)
    mean = np.zeros(WIDTH)
    deviation = np.zeros(WIDTH)
    largest = np.zeros(k * WIDTH)
    kept = np.zeros((2 * k + triangle + 1) * WIDTH)
    for tile in range(0, q, WIDTH):
        live = min(WIDTH, q - tile)
        # --- load, centre, scale
        for j in range(WIDTH):
            marker = members[tile + min(j, live - 1)]
            if masked:
                for i in range(m):
                    seen = include[marker, rows[i]]
                    V[i * WIDTH + j] = 1.0 if seen else 0.0
                    X[i * WIDTH + j] = values[marker, rows[i]] if seen else 0.0
            else:
                for i in range(m):
                    X[i * WIDTH + j] = values[marker, rows[i]]
        total = zero
        number = zero
        for i in range(m):
            total = total + load(X, i)
            number = number + (load(V, i) if masked else one)
        number = one_where_idle(number, number)
        average = total / number
        squares = zero
        farthest = zero
        for i in range(m):
            v = load(X, i) - average
            if masked:
                v = v * load(V, i)
            store(X, i, v)
            squares = fma(v, v, squares)
            farthest = larger(farthest, larger(v, zero - v))
        # through memory: each lane decides for itself
        store(T, 0, average)
        store(T, 1, squares / number)
        for j in range(WIDTH):
            mean[j] = T[j]
            spread = np.sqrt(T[WIDTH + j])
            # constant, or so far from 0 that little is left of its digits, or out of range, or not finite
            lost[j] = not (spread > 1e-100 and spread < 1e100 and spread > 1e-4 * abs(T[j]))
            deviation[j] = 1.0 if lost[j] else spread
            T[j] = 1.0 / deviation[j]
            if lost[j]:
                for i in range(m):
                    X[i * WIDTH + j] = 0.0
        factor = load(T, 0)
        for i in range(m):
            store(X, i, load(X, i) * factor)
        for r in range(k):
            store(T, r, zero)
            store(S, r, splat(start[r]))
        store(largest, 0, one)
        store(largest, 1, farthest * factor)
        store(largest, 2, farthest * factor)
        for c in range(k - 3):
            store(largest, 3 + c, splat(largest_covariate[c]))
        for i in range(m):
            if died[i]:
                seen = one
                if masked:
                    seen = load(V, i)
                if arm[i]:
                    store(T, 0, load(T, 0) + seen)
                    store(T, 2, load(T, 2) + load(X, i))
                else:
                    store(T, 1, load(T, 1) + load(X, i))
                for c in range(k - 3):
                    store(T, 3 + c, fma(splat(C[i, c]), seen, load(T, 3 + c)))
        # --- models, each from the one before
        evaluated = False
        for model in range(n_models):
            free = counts[model]
            which = maps[model]
            solved = free + free * (free + 1)
            for j in range(WIDTH):
                state[j] = LOST if lost[j] else CLIMBING
                best[j] = -np.inf
            for _ in range(STEPS):
                if not evaluated:
                    _evaluate(
                        S, Z, T, X, V, Y, C, survival, masked, arm, died, first, size, dead, fresh, stratum
                    )  # fmt: skip
                evaluated = False
                _reduce(S, k, which, R, free)
                _solve(R, free, 0, solved)
                busy = False
                for j in range(WIDTH):
                    if state[j] != CLIMBING:
                        continue
                    now = S[at_loglik + j]
                    if not (now > -1e300 and now < 1e300):
                        state[j] = LOST
                    elif now < best[j] - 1e-10 * (1.0 + abs(now)):
                        for r in range(k):
                            step[r * WIDTH + j] *= 0.5
                    elif not _sound(R, free, j, SMALLEST_PIVOT):
                        state[j] = LOST
                    else:
                        best[j] = now
                        decrement = 0.0
                        for r in range(free):
                            decrement += R[r * WIDTH + j] * R[(solved + r) * WIDTH + j]
                        for r in range(k):
                            base[r * WIDTH + j] = S[r * WIDTH + j]
                            to = which[r]
                            step[r * WIDTH + j] = R[(solved + to) * WIDTH + j] if to >= 0 else 0.0
                        if not decrement < 1e300:
                            state[j] = LOST
                        elif decrement < DECREMENT:
                            state[j] = FOUND
                            if j < live:
                                marker = members[tile + j]
                                loglik[marker, model] = now + 0.5 * decrement
                                for r in range(k):
                                    estimates[marker, model, r] = (
                                        base[r * WIDTH + j] + step[r * WIDTH + j]
                                    )
                    if state[j] == CLIMBING:
                        for r in range(k):
                            S[r * WIDTH + j] = base[r * WIDTH + j] + step[r * WIDTH + j]
                        if _too_far(S, k, largest, j):
                            state[j] = LOST
                        else:
                            busy = True
                    if state[j] == LOST:
                        for r in range(k):
                            S[r * WIDTH + j] = 0.0
                if not busy:
                    evaluated = True
                    break
            for j in range(WIDTH):
                if state[j] != FOUND:
                    lost[j] = True
                    for r in range(k):
                        S[r * WIDTH + j] = 0.0
            # Lanes given up were moved: their sums are stale, and nobody reads them.
            if exact and free > 0:
                for j in range(live):
                    if not lost[j]:
                        for r in range(k):
                            S[r * WIDTH + j] = estimates[members[tile + j], model, r]
                # padding repeats the last marker
                for j in range(live, WIDTH):
                    for r in range(k):
                        S[r * WIDTH + j] = S[r * WIDTH + live - 1]
                _evaluate(
                    S, Z, T, X, V, Y, C, survival, masked, arm, died, first, size, dead, fresh, stratum
                )  # fmt: skip
                evaluated = True
                _reduce(S, k, which, R, free)
                for column in range(free):
                    for r in range(free):
                        store(R, solved + r, splat(1.0 if r == column else 0.0))
                    _solve(R, free, solved, solved + free)
                    for j in range(live):
                        if not lost[j]:
                            marker = members[tile + j]
                            loglik[marker, model] = S[at_loglik + j]
                            for r in range(column, free):
                                covariance[marker, model, packed(r, column)] = R[
                                    (solved + free + r) * WIDTH + j
                                ]
        # --- the last model: range of the predictor, then profile limits
        for j in range(live):
            marker = members[tile + j]
            state_out[marker] = LOST if lost[j] else FOUND
            centre[marker] = mean[j]
            scale[marker] = deviation[j]
            low = np.inf
            high = -np.inf
            if not lost[j]:
                reach = 0.0
                for r in range(k):
                    reach += 2.0 * abs(S[r * WIDTH + j]) * largest[r * WIDTH + j]
                if reach < 20.0:
                    low = 0.0
                    high = reach
                else:
                    for i in range(m):
                        if masked and not V[i * WIDTH + j] > 0.0:
                            continue
                        eta = X[i * WIDTH + j] * S[(2 if arm[i] else 1) * WIDTH + j]
                        if arm[i]:
                            eta += S[j]
                        for c in range(k - 3):
                            eta += C[i, c] * S[(3 + c) * WIDTH + j]
                        low = min(low, eta)
                        high = max(high, eta)
            span[marker] = high - low
        if kinds.shape[0] == 0:
            continue
        free = counts[n_models - 1]
        which = maps[n_models - 1]
        solved = free + free * (free + 1)
        wanted = solved + free
        direction = wanted + free
        everybody_lost = True
        for j in range(live):
            if not lost[j]:
                everybody_lost = False
        if everybody_lost:
            continue
        if not evaluated:
            _evaluate(
                S, Z, T, X, V, Y, C, survival, masked, arm, died, first, size, dead, fresh, stratum
            )  # fmt: skip
        for at in range((2 * k + triangle + 1) * WIDTH):
            kept[at] = S[at]
        for f in range(kinds.shape[0]):
            for side in range(2):
                sign = -1.0 if side == 0 else 1.0
                for at in range((2 * k + triangle + 1) * WIDTH):
                    S[at] = kept[at]
                for j in range(WIDTH):
                    state[j] = LOST if lost[j] else CLIMBING
                fetched = True
                for _ in range(STEPS):
                    if not fetched:
                        _evaluate(
                            S, Z, T, X, V, Y, C, survival, masked, arm, died, first, size, dead, fresh, stratum
                        )  # fmt: skip
                    fetched = False
                    _reduce(S, k, which, R, free)
                    for r in range(free):
                        store(R, wanted + r, splat(0.0))
                    for j in range(WIDTH):
                        marker = members[tile + min(j, live - 1)]
                        if kinds[f] == 0:
                            R[(wanted + which[1]) * WIDTH + j] = -1.0
                            R[(wanted + which[2]) * WIDTH + j] = 1.0
                        elif kinds[f] == 1:
                            at_level = (levels[f, marker] - mean[j]) / deviation[j]
                            R[(wanted + which[0]) * WIDTH + j] = 1.0
                            R[(wanted + which[1]) * WIDTH + j] = -at_level
                            R[(wanted + which[2]) * WIDTH + j] = at_level
                        elif kinds[f] == 2:
                            R[(wanted + which[1]) * WIDTH + j] = 1.0
                        else:
                            R[(wanted + which[0]) * WIDTH + j] = 1.0
                    _solve(R, free, 0, solved)
                    _solve(R, free, wanted, direction)
                    busy = False
                    for j in range(WIDTH):
                        if state[j] != CLIMBING:
                            continue
                        marker = members[tile + min(j, live - 1)]
                        now = S[at_loglik + j]
                        if not (
                            now > -1e300 and now < 1e300 and _sound(R, free, j, SMALLEST_PIVOT)
                        ):
                            state[j] = LOST
                        else:
                            rise = 0.0
                            curve = 0.0
                            mixed = 0.0
                            for r in range(free):
                                rise += R[r * WIDTH + j] * R[(solved + r) * WIDTH + j]
                                curve += (
                                    R[(wanted + r) * WIDTH + j] * R[(direction + r) * WIDTH + j]
                                )
                                mixed += R[(wanted + r) * WIDTH + j] * R[(solved + r) * WIDTH + j]
                            target = loglik[marker, n_models - 1] - 0.5 * drop[marker]
                            left = 2.0 * (now - target) + rise
                            along = 0.0
                            if left > 0.0:
                                along = sign * np.sqrt(left / curve)
                            moved = rise + 2.0 * along * mixed + along * along * curve
                            if not moved < 1e300:
                                state[j] = LOST
                            else:
                                # no step beyond three standard errors
                                damp = 1.0 if moved <= 9.0 else 3.0 / np.sqrt(moved)
                                value = 0.0
                                for r in range(k):
                                    to = which[r]
                                    if to >= 0:
                                        S[r * WIDTH + j] += damp * (
                                            R[(solved + to) * WIDTH + j]
                                            + along * R[(direction + to) * WIDTH + j]
                                        )
                                if kinds[f] == 0:
                                    value = (S[2 * WIDTH + j] - S[WIDTH + j]) / deviation[j]
                                elif kinds[f] == 1:
                                    at_level = (levels[f, marker] - mean[j]) / deviation[j]
                                    value = S[j] + at_level * (S[2 * WIDTH + j] - S[WIDTH + j])
                                elif kinds[f] == 2:
                                    value = S[WIDTH + j] / deviation[j]
                                else:
                                    value = S[j]
                                if left > 0.0 and moved < DECREMENT:
                                    state[j] = FOUND
                                    if j < live:
                                        limits[marker, f, side] = value
                                elif _too_far(S, k, largest, j):
                                    state[j] = LOST
                        if state[j] == LOST:
                            for r in range(k):
                                S[r * WIDTH + j] = 0.0
                        if state[j] == CLIMBING:
                            busy = True
                    if not busy:
                        break
