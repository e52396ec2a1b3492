"""Scores of expression signatures from gene lists: one sample at a time, missing genes counted.

Three scores, none of which learns anything from outcome or arm:

``rank``
    Singscore (Foroutan 2018): the mean rank of the signature's genes among all genes of the sample, from -0.5
    (lowest) to 0.5; genes of negative weight are ranked the other way round, and the two parts added. It does not
    depend on the other samples, nor on any monotone transform of the sample.
``mean``
    The weighted mean of the genes, on the scale of the dictionary's transform: for small panels, in which
    a rank among few genes says little.
``correlation``
    Spearman's correlation of the genes with their weights, each gene centred at its median over the baseline samples
    of the assay, in tissue or in blood (as for intrinsic subtypes: Parker 2009). It depends on who is in the study.

Libraries were looked at: decoupler holds pandas below 3 (by anndata); gseapy's ssGSEA scales by the range over
samples, so that a score would change with the study's other samples.

References
----------
Foroutan M et al. BMC Bioinformatics 2018;19:404. Parker JS et al. Journal of Clinical Oncology 2009;27:1160-1167.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from correlatives.markers import ABOVE, BELOW, MEASURED, MISSING, NOT_EVALUABLE, Markers
from correlatives.tables.dictionary import DOMAIN_OF, Dictionary, info_frame
from correlatives.tables.limits import analysis_values
from correlatives.tables.problems import Problems
from correlatives.tables.values import QUANTITIES, Block
from correlatives.tables.words import words

#: What the markers are called.
PREFIX = "signature:"

#: Genes that must be measured for a score: this many, and this share of the list.
LEAST_GENES = 3
LEAST_SHARE = 0.5

#: Columns of ``check/signatures.tsv``.
COLUMNS = [
    "signature",
    "score",
    "pathway",
    "specimen",
    "timepoint",
    "assay",
    "genes_listed",
    "genes_measured",
    "genes_missing",
    "subjects_scored",
    "subjects_not_evaluable",
]


@dataclass(frozen=True)
class Signature:
    """A gene list.

    Attributes
    ----------
    name, score, pathway : str
    genes : np.ndarray of str, shape (g,)
    weight : np.ndarray of float, shape (g,)
    """

    name: str
    score: str
    pathway: str
    genes: np.ndarray
    weight: np.ndarray

    @property
    def needed(self) -> float:
        """Genes that must be measured for a score."""
        return max(LEAST_GENES, LEAST_SHARE * len(self.genes))


def signatures_of(table: pd.DataFrame, problems: Problems) -> list[Signature]:
    """Return the signatures of the table, in its order; one with two scores or pathways is a problem."""
    found = []
    names = words(table["signature"])
    for name in dict.fromkeys(names):
        rows = table[names == name]
        said = {}
        for column, default in (("score", "rank"), ("pathway", "")):
            given = [word for word in dict.fromkeys(words(rows[column])) if word]
            said[column] = given[0] if given else default
            if len(given) > 1:
                problems.add(
                    "signature_contradicts_itself",
                    f"Signature {name} has {' and '.join(given)} as its {column}: say one, in one of its rows or all.",
                    table="signatures",
                    column=column,
                    value=name,
                )
        weight = rows["weight"].to_numpy(dtype=float)
        found.append(
            Signature(
                str(name),
                **said,
                genes=words(rows["gene"]),
                weight=np.where(np.isnan(weight), 1.0, weight),
            )
        )
    return found


def signature_markers(
    markers: Markers,
    table: pd.DataFrame,
    wide: set[str],
    baseline: str,
    dictionary: Dictionary,
    problems: Problems,
) -> tuple[list[Block], pd.DataFrame]:
    """Return ``signature:{name}`` of every specimen, timepoint and assay that measures half of its genes.

    Parameters
    ----------
    markers : Markers
        All that was measured.
    table : pd.DataFrame
        The signatures table.
    wide : set of str
        Biomarkers of wide tables. Where the genes are among them, genes are ranked among the wide tables'
        biomarkers; else among all quantities of the assay.
    baseline : str
        Timepoint of the medians that correlations are taken from.

    Returns
    -------
    blocks : list of Block
        A subject with fewer than half of the genes (or than three) is not evaluable.
    account : pd.DataFrame
        ``check/signatures.tsv``. `genes_missing` names them.
    """
    signatures = signatures_of(table, problems)
    info = markers.info
    quantity = info["kind"].isin(QUANTITIES).to_numpy(bool)
    gene, of_specimen, of_assay, of_timepoint = (
        words(info[column]) for column in ("biomarker", "specimen", "assay", "timepoint")
    )
    of_wide_table = pd.Index(gene).isin(wide)
    # Only where a gene of a signature was measured is there anything to score.
    every = {name for signature in signatures for name in signature.genes}
    of_genes = np.flatnonzero(quantity & pd.Index(gene).isin(every))
    places = sorted(set(zip(of_specimen[of_genes], of_assay[of_genes], strict=True)))
    blocks, account = [], []
    for signature in signatures:
        most, told = 0, set()
        for specimen, assay in places:
            there = of_genes[(of_specimen[of_genes] == specimen) & (of_assay[of_genes] == assay)]
            measured = set(gene[there]) & set(signature.genes)
            most = max(most, len(measured))
            if len(measured) < signature.needed:
                continue  # an assay of other things that shares a name or two
            here = quantity & (of_specimen == specimen) & (of_assay == assay)
            of_list = pd.Index(gene).isin(measured)
            members = here & (of_wide_table | of_list) if measured & wide else here
            missing = [name for name in signature.genes if name not in measured]
            entry = dictionary.entry(
                PREFIX + signature.name,
                specimen,
                assay,
                kind="continuous",
                unit="score",
                label=f"{signature.name.replace('_', ' ')} signature",
                pathway=signature.pathway,
            ) | {"transform": "none"}
            centre = {}
            if signature.score == "correlation":
                of_kind = DOMAIN_OF.get(specimen, specimen)
                at_baseline = np.zeros(len(info), dtype=bool)
                at_baseline[of_genes] = [
                    name in measured
                    and DOMAIN_OF.get(place, place) == of_kind
                    and (by, when) == (assay, baseline)
                    for name, place, by, when in zip(
                        *(of[of_genes] for of in (gene, of_specimen, of_assay, of_timepoint)),
                        strict=True,
                    )
                ]
                centre = _medians(markers.where(at_baseline))
            scored = _scored(markers.where(members), signature, centre)
            rows, values, states = [], [], []
            for timepoint, (value, state) in scored.items():
                rows.append(entry | {"timepoint": timepoint})
                values.append(value)
                states.append(state)
                account.append(
                    (
                        *(signature.name, signature.score, signature.pathway),
                        *(specimen, timepoint, assay),
                        *(len(signature.genes), len(measured), ", ".join(missing)),
                        int((state == MEASURED).sum()),
                        int((state == NOT_EVALUABLE).sum()),
                    )
                )
            order = np.zeros(len(markers.subjects), dtype=np.int64)
            blocks.append(Block(info_frame(rows), np.array(values), np.array(states), order))
            if missing and assay not in told:
                told.add(assay)
                problems.add(
                    "signature_genes_missing",
                    f"{len(missing)} of {len(signature.genes)} genes of signature {signature.name} are not measured by "
                    f"{assay or 'the assay'}: {', '.join(missing[:10])}{' …' if len(missing) > 10 else ''}. It is scored "
                    "from the others.",
                    table="signatures",
                    column="gene",
                    value=signature.name,
                )
        if most < signature.needed:
            problems.add(
                "signature_genes_missing",
                f"No assay measures more than {most} of the {len(signature.genes)} genes of signature {signature.name}: it "
                f"is not scored (at least {LEAST_GENES}, and half of them, are needed).",
                table="signatures",
                column="gene",
                value=signature.name,
            )
    return blocks, pd.DataFrame(account, columns=COLUMNS)


def _analysed(markers: Markers) -> np.ndarray:
    """Return values on the scale of the dictionary's transform, NaN where there is none."""
    analysed = analysis_values(markers)
    same = analysed.kind == markers.info["kind"].to_numpy(dtype=object)
    return np.where(analysed.usable & same[:, None], analysed.value, np.nan)


def _medians(markers: Markers) -> dict[str, float]:
    """Return each gene's median over all of its values."""
    value = _analysed(markers)
    gene = words(markers.info["biomarker"])
    found = {}
    for name in dict.fromkeys(gene):
        known = value[gene == name]
        known = known[np.isfinite(known)]
        if len(known):
            found[name] = float(np.median(known))
    return found


def _scored(
    part: Markers, signature: Signature, centre: dict[str, float]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return timepoint -> score and state of every subject."""
    weight_of = dict(zip(signature.genes, signature.weight, strict=True))
    gene, timepoint = words(part.info["biomarker"]), words(part.info["timepoint"])
    weight = np.array([weight_of.get(name, np.nan) for name in gene])
    listed = ~np.isnan(weight)
    if signature.score == "rank":
        value = np.where(np.isin(part.state, (MEASURED, BELOW, ABOVE)), part.value, np.nan)
    else:
        value = _analysed(part)
    if signature.score == "correlation":
        value = value - np.array([centre.get(name, np.nan) for name in gene])[:, None]
    found = {}
    for when in sorted(set(timepoint)):
        here = timepoint == when
        if not (here & listed).any():
            continue
        scores = SCORES[signature.score](value[here], weight[here])
        enough = np.isfinite(value[here & listed]).sum(axis=0) >= signature.needed
        sampled = (part.state[here] != MISSING).any(axis=0)
        known = enough & np.isfinite(scores)
        state = np.where(known, MEASURED, np.where(sampled, NOT_EVALUABLE, MISSING))
        found[when] = np.where(known, scores, np.nan), state.astype(np.uint8)
    return found


def rank_score(value: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return singscore's score of each sample.

    Parameters
    ----------
    value : np.ndarray, shape (genes, n)
        NaN where not measured.
    weight : np.ndarray, shape (genes,)
        Positive for genes that go up with the signature, negative for those that go down; NaN for the
        other genes, among which they are ranked. Its size plays no part.

    Returns
    -------
    np.ndarray, shape (n,)
        Mean rank between the lowest and the highest that as many genes can have, less one half; up and
        down parts added. NaN without a gene, and where the signature is all that was measured.
    """
    from scipy.stats import rankdata

    known = np.isfinite(value)
    total = known.sum(axis=0)
    ranks = rankdata(value, axis=0, nan_policy="omit")
    score = np.zeros(value.shape[1])
    any_gene = np.zeros(value.shape[1], dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        for sign in (1.0, -1.0):
            members = np.sign(weight) == sign
            of = known & members[:, None]
            size = of.sum(axis=0)
            placed = ranks if sign > 0 else total + 1.0 - ranks
            mean = np.where(of, placed, 0.0).sum(axis=0) / size
            lowest, highest = (size + 1.0) / 2.0, (2.0 * total - size + 1.0) / 2.0
            part = (mean - lowest) / (highest - lowest) - 0.5
            score += np.where(size > 0, part, 0.0)
            any_gene |= size > 0
    return np.where(any_gene & np.isfinite(score), score, np.nan)


def mean_score(value: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the weighted mean, Σ w x / Σ |w| over the genes measured; shapes as in `rank_score`."""
    of = np.isfinite(value) & np.isfinite(weight)[:, None]
    size = np.where(of, np.abs(np.nan_to_num(weight))[:, None], 0.0).sum(axis=0)
    total = np.where(of, np.nan_to_num(value) * np.nan_to_num(weight)[:, None], 0.0).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size > 0, total / size, np.nan)


def correlation_score(value: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of the genes with their weights; shapes as in `rank_score`.

    NaN where genes or weights do not vary.
    """
    from scipy.stats import rankdata

    listed = np.isfinite(weight)
    found = np.full(value.shape[1], np.nan)
    for sample in range(value.shape[1]):
        of = listed & np.isfinite(value[:, sample])
        if of.sum() < LEAST_GENES:
            continue
        x, y = rankdata(value[of, sample]), rankdata(weight[of])
        x, y = x - x.mean(), y - y.mean()
        size = np.sqrt((x**2).sum() * (y**2).sum())
        if size > 0:
            found[sample] = (x * y).sum() / size
    return found


#: Score by its word in the signatures table.
SCORES = {"rank": rank_score, "mean": mean_score, "correlation": correlation_score}
