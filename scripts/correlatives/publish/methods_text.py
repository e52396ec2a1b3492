"""The paragraphs of statistical methods that a journal prints, from the configuration and the results.

Every sentence holds for the study at hand: what the configuration does not ask for, or the tables do not contain, is not
claimed. A single-arm study is never said to predict benefit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from correlatives.pairing import PROGRESSION_WINDOW_DAYS, means_progression
from correlatives.tables.limits import FEW_CENSORED, MOST_CENSORED

#: Libraries that a methods section names, as they call themselves.
NAMED = {
    "numpy": "NumPy",
    "scipy": "SciPy",
    "pandas": "pandas",
    "statsmodels": "statsmodels",
    "scikit-learn": "scikit-learn",
    "scikit-survival": "scikit-survival",
    "matplotlib": "Matplotlib",
    "snakemake": "Snakemake",
}

#: Words for best responses.
RESPONSES = {"CR": "complete response", "PR": "partial response", "SD": "stable disease"}


def methods(
    record: Mapping[str, Any],
    subjects: Mapping[str, int],
    tables: Mapping[str, pd.DataFrame],
) -> str:
    """Return the methods section as Markdown, a paragraph a topic.

    Parameters
    ----------
    record : mapping
        The provenance (`correlatives.publish.provenance.record`): its settings are the filled configuration.
    subjects : mapping from str to int
        Arm -> subjects analysed, control first.
    tables : mapping from str to pd.DataFrame
        Name (``efficacy/survival_by_arm``) -> table, of those that there are.

    Returns
    -------
    str
    """
    settings = record["configuration"]["settings"]
    filled = {name: table for name, table in tables.items() if len(table)}
    paragraphs = [
        _study(settings, subjects),
        _endpoints(settings, filled),
        _arms(settings, filled),
        _biomarkers(settings, filled),
        _screen(settings, filled),
        _resistance(settings, filled),
        _models(settings, filled),
        _software(record),
    ]
    head = "# Statistical methods\n"
    if settings["study"]["simulated"]:
        head += "\n**Simulated data.** No value comes from a patient.\n"
    return head + "".join(f"\n{paragraph}\n" for paragraph in paragraphs if paragraph)


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    words = [str(word) for word in words]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def specimens(markers: pd.DataFrame) -> list[str]:
    """Return the specimens of a table of markers, in words; the subjects' own columns are none."""
    named = set(markers["specimen"].dropna().astype(str)) - {"clinical"}
    return sorted(name.replace("_", " ") for name in named)


def _randomised(settings: Mapping[str, Any]) -> bool:
    return settings["study"]["design"] == "randomised"


def _named(settings: Mapping[str, Any], endpoint: str) -> str:
    """Return an endpoint's label and, where it is another, its name in brackets."""
    label = settings["endpoints"].get(endpoint, {}).get("label") or endpoint
    return label if label == endpoint else f"{label[0].lower()}{label[1:]} ({endpoint})"


def number_of(n: int, one: str, several: str = "") -> str:
    """Return ``1 subject`` or ``1,200 subjects``."""
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def _study(settings: Mapping[str, Any], subjects: Mapping[str, int]) -> str:
    study = settings["study"]
    total = sum(subjects.values())
    eligible = settings["population"] == "eligible"
    who = f"{'eligible ' if eligible else ''}subject"
    said = [f"**Study.** {study['title'].rstrip('.')}."]
    if not _randomised(settings):
        said.append(f"{number_of(total, who)} of this single-arm study were analysed.")
        return " ".join(said)
    arms = listed([f"{n} {arm}" for arm, n in subjects.items()])
    said.append(
        f"{number_of(total, f'randomised {who}')} were analysed in the arms to which they had been randomised ({arms})."
    )
    if study["strata"]:
        said.append(
            f"Randomisation was stratified by {listed(study['strata'])}; tests and models were stratified in the same way."
        )
    return " ".join(said)


def _endpoints(settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    origin = "randomisation" if _randomised(settings) else "the start"
    said = []
    for name, endpoint in settings["endpoints"].items():
        words = _named(settings, name)
        if endpoint["type"] == "time_to_event":
            said.append(f"{words}, from {origin}")
        elif endpoint["type"] == "duration_of_response":
            said.append(f"{words}, from the first response, in responders")
        elif endpoint.get("column"):
            said.append(f"{words}: {endpoint['column']} {listed(endpoint['positive'], 'or')}")
        else:
            best = listed([RESPONSES.get(one, one) for one in endpoint["responders"]], "or")
            months = endpoint.get("at_least_months")
            lasting = f" (stable disease of at least {months:g} months)" if months else ""
            said.append(f"{words}: {best} as best response{lasting}")
    told = "; ".join(said)
    text = f"**Endpoints.** {told[:1].upper()}{told[1:]}."
    survival = tables.get("efficacy/survival_by_arm")
    if survival is not None:
        followed = survival.dropna(subset=["followup_median"])
        timed = [n for n, e in settings["endpoints"].items() if e["type"] == "time_to_event"]
        for name in timed[:1]:
            own = followed[followed["endpoint"] == name]
            parts = [f"{row.followup_median:.1f} months ({row.arm})" for row in own.itertuples()]
            if parts:
                text += f" Median follow-up by the reverse Kaplan–Meier method on {name}: {listed(parts)}."
    return text


def _arms(settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    said = []
    strata = bool(settings["study"]["strata"])
    if "efficacy/survival_by_arm" in tables:
        said.append(
            "Survival was estimated by the Kaplan–Meier method with log–log limits"
            + (
                f", compared by the log-rank test{', plain and stratified' if strata else ''}, and by Cox models "
                f"({'stratified, ' if strata else ''}Efron's method for ties) with profile-likelihood limits; "
                "proportional hazards were tested on scaled Schoenfeld residuals, and restricted mean survival times compared."
                if "efficacy/survival_contrast" in tables
                else "."
            )
        )
    if "efficacy/response_by_arm" in tables:
        said.append(
            "Response rates have Clopper–Pearson limits"
            + (
                "; their difference has those of Miettinen and Nurminen, and is tested by Fisher's exact test"
                f"{' and the Cochran–Mantel–Haenszel test' if strata else ''}."
                if "efficacy/response_contrast" in tables
                else "."
            )
        )
    return (
        f"**{'Comparison of arms' if _randomised(settings) else 'Efficacy'}.** {' '.join(said)}"
        if said
        else ""
    )


def _screened(
    settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    folder = "predictive" if _randomised(settings) else "prognostic"
    found = {name: tables.get(f"{folder}/{name}") for name in settings["predictive"]["endpoints"]}
    return {name: table for name, table in found.items() if table is not None}


def _biomarkers(settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    screened = _screened(settings, tables)
    if not screened:
        return ""
    table = next(iter(screened.values()))
    key = ["biomarker", "specimen", "timepoint"]
    families = table.drop_duplicates(key)["family"].value_counts()
    parts = [
        f"{number_of(int(families.get(family, 0)), f'{family} biomarker')}"
        for family in ("confirmatory", "exploratory")
        if families.get(family, 0)
    ]
    places = specimens(table)
    said = [f"**Biomarkers.** {listed(parts)} at baseline ({listed(places)}) were analysed."]
    given = settings["tables"]
    if given.get("biomarkers"):
        said.append(
            "Families, transformations and cut-points were taken from a dictionary of biomarkers."
        )
    if given.get("alterations"):
        counted = settings["alterations_count"]
        if counted:
            words = listed([word.replace("_", " ") for word in counted], "or")
            said.append(f"A gene counted as altered by alterations called {words}.")
        least = settings["evaluable"]["min_tumour_fraction"]
        if least:
            said.append(
                f"Without a finding, a sample with a tumour fraction below {least:g} was not evaluable"
                + (
                    ", and a gene that the assay does not cover was not evaluable rather than wild type."
                    if given.get("coverage")
                    else "."
                )
            )
    if beyond := _limits(table.drop_duplicates(key)):
        said.append(beyond)
    return " ".join(said)


def _limits(markers: pd.DataFrame) -> str:
    """Say what was done with values beyond limits of quantification, and to how many markers."""
    share = markers.get("fraction_censored", pd.Series(dtype=float)).astype(float)
    imputed = markers["method"].astype(str).str.contains("Rubin")
    ways = (
        (
            (share > 0) & (share < FEW_CENSORED),
            f"less than {100 * FEW_CENSORED:.0f} % of a marker's results, they stood at the limit over √2 if below it",
        ),
        (imputed, "more, they were imputed several times and pooled by Rubin's rules"),
        (
            share > MOST_CENSORED,
            f"more than {100 * MOST_CENSORED:.0f} %, the marker was analysed as detected or not",
        ),
    )
    said = [f"{words} ({number_of(int(who.sum()), 'marker')})" for who, words in ways if who.any()]
    if not said:
        return ""
    return f"Where values beyond a limit of quantification were {'; '.join(said)}."


def _screen(settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    screened = _screened(settings, tables)
    if not screened:
        return ""
    options = settings["predictive"]
    kinds = [settings["endpoints"][name]["type"] for name in screened]
    models = [
        words
        for words, there in (
            ("a Cox model (Efron's method for ties)", any(kind != "response" for kind in kinds)),
            ("a logistic model", "response" in kinds),
        )
        if there
    ]
    strata = (
        "stratified by the factors of the randomisation, " if settings["study"]["strata"] else ""
    )
    adjusted = f"adjusted for {listed(options['covariates'])}, " if options["covariates"] else ""
    names = listed([_named(settings, name) for name in screened])
    stacked = pd.concat(list(screened.values()), ignore_index=True)
    firth = int(stacked["method"].astype(str).str.contains("Firth").sum())
    penalised = (
        f" Firth's penalty was used in logistic models, and in Cox models where events were few or the likelihood had no finite "
        f"maximum ({number_of(firth, 'model')} of {len(stacked):,}). Limits of interactions are of the profile likelihood: in Cox "
        "models by Student's t with the events and the carriers of the marker as degrees of freedom, in logistic models by "
        "chi-square, for a binary marker times 1 − 1/(3m), m being the fewest subjects of one level in one arm."
        if firth
        else ""
    )
    level = f"{options['alpha']:g}"
    confirmatory = (stacked["family"] == "confirmatory").any()
    if not _randomised(settings):
        return (
            f"**Prognostic biomarkers.** Each marker was related to {names} in {listed(models, 'or')} ({strata}{adjusted}one marker "
            f"a model).{penalised} The false discovery rate was controlled by the method of Benjamini and Hochberg within family and "
            f"endpoint, at {level}. Without a control arm nothing is said of the benefit from treatment."
        ).replace("(one marker a model)", "one marker a model")
    text = (
        f"**Predictive biomarkers.** For {names} each marker was entered with the treatment and their product into "
        f"{listed(models, 'or')}, {strata}{adjusted}".rstrip(", ")
        + f".{penalised}"
    )
    drawn = stacked["p_randomisation"].notna().any()
    if drawn:
        within = " within strata" if settings["study"]["strata"] else ""
        text += (
            " A marker was called predictive by the test of this interaction alone: a randomisation test of the efficient score, "
            f"studentised in every one of {options['randomisations']:,} draws of the treatment{within}."
        )
        if confirmatory:
            text += (
                f" In the confirmatory family the family-wise error was controlled at {level} by the largest statistic of each "
                "draw; for exploratory"
            )
        else:
            text += " For exploratory"
        text += (
            f" markers the false discovery rate was controlled at {level} by the method of Benjamini and Hochberg, within endpoint."
            " Likelihood-ratio p-values are given for comparison with other reports."
        )
    return text


def _resistance(settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    options = settings["resistance"]
    said = []
    if "resistance/acquired" in tables:
        said.append(
            f"Alterations at {options['from']} and at {options['to']} were compared in subjects with both samples evaluable at the gene "
            "or pathway; gains and losses within an arm were tested by McNemar's test."
        )
        if means_progression(settings.get("timepoints") or {}, options["to"]):
            said.append(
                f"Samples at {options['to']} of subjects without progression, or taken more than {PROGRESSION_WINDOW_DAYS:g} "
                "days before it, made no pair."
            )
    if "resistance/acquired_by_arm" in tables:
        said.append(
            "Rates of gain were compared between arms by Fisher's and Boschloo's exact tests and, adjusted for the time on "
            "treatment, by Firth's logistic regression, with the false discovery rate of Benjamini and Hochberg."
        )
    if "resistance/paired_change" in tables:
        said.append(
            "Changes of measured biomarkers are Hodges–Lehmann estimates with Wilcoxon's signed-rank test."
        )
    if "resistance/dynamics" in tables and options["early"]:
        said.append(
            f"Early change (to {listed(options['early'])}) was related to later survival from a landmark; subjects with an event or "
            "censored before it were left out."
        )
    if "resistance/concordance" in tables:
        said.append(
            "Agreement of tissue and plasma is given as positive and negative agreement and Cohen's kappa."
        )
    return f"**Resistance.** {' '.join(said)}" if said else ""


def _models(settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    table = tables.get("response/performance")
    if table is None:
        return ""
    models = list(dict.fromkeys(table["model"]))
    names = list(dict.fromkeys(table["endpoint"]))
    endpoints = listed([_named(settings, name) for name in names])
    were = "was" if len(names) == 1 else "were"
    clinical = settings["response"]["clinical"]
    factors = f" The clinical factors were {listed(clinical)}." if clinical else ""
    return (
        f"**Models of response.** {endpoints[0].upper()}{endpoints[1:]} {were} predicted from baseline by these models: {listed(models)}."
        f"{factors} Performance was estimated by repeated nested cross-validation with imputation, scaling, selection and tuning "
        "inside every training set; its limits are Nadeau and Bengio's, which allow for refitting on other subjects. The sample "
        "size that such models need was calculated by the criteria of Riley and colleagues."
    )


def _software(record: Mapping[str, Any]) -> str:
    software = record["software"]
    found = software["libraries"]
    named = [f"{words} {found[name]}" for name, words in NAMED.items() if name in found]
    python = f"Python {found['python']}" if "python" in found else "Python"
    with_libraries = f" with {listed(named)}" if named else ""
    corrections = record["decisions"]["corrections"]
    corrected = (
        f" {number_of(len(corrections), 'documented correction')} of the locked files "
        f"{'was' if len(corrections) == 1 else 'were'} applied."
        if corrections
        else ""
    )
    return (
        f"**Software.** Analyses were made in {python}{with_libraries} by version {software['workflow']} of this workflow (SHA-256 of "
        f"its code: {record['code']['sha256'][:12]}…); everything random follows from the seed {record['seeds']['study']}.{corrected} "
        "Results were left unrounded and p-values are two-sided."
    )
