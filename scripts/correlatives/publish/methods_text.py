"""The paragraphs of statistical methods that a journal prints, from the configuration and the results.

Every sentence holds for the study at hand: what the configuration does not ask for, or the tables do not contain, is not
claimed. A single-arm study is never said to predict benefit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from correlatives.imputation import IMPUTATIONS
from correlatives.markers import KEY
from correlatives.multiplicity import FEW_CARRIERS, LEAST_CARRIERS
from correlatives.pairing import PROGRESSION_WINDOW_DAYS, means_progression
from correlatives.predictive.randomisation import ENOUGH
from correlatives.predictive.rows import EXPECTED, FACTOR
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

#: Columns of the effect that a test is of, in a table of biomarkers of two arms and of one.
EFFECTS = ["interaction_ratio", "marker_effect"]

#: What `method` says of markers that were imputed and pooled, and of p-values that went on beyond the draws of all.
POOLED = "Rubin's rules"
WENT_ON = r"sequential Monte Carlo, (\d+) draws"

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
    for row in tables.get("efficacy/historical", pd.DataFrame()).itertuples():
        rate = row.measure == "rate"
        published = f"{100 * row.historical:g} %" if rate else f"{row.historical:g} months"
        said.append(
            f"The {'rate' if rate else 'median'} of {row.endpoint} was compared with the published {published} ({row.source}) by "
            f"{'an exact binomial test' if rate else 'a one-sample log-rank test'}."
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
    markers = table.drop_duplicates(KEY)
    clinical = markers["specimen"].eq("clinical")
    families = markers.loc[~clinical, "family"].value_counts()
    parts = [
        f"{number_of(int(families.get(family, 0)), f'{family} biomarker')}"
        for family in ("confirmatory", "exploratory")
        if families.get(family, 0)
    ]
    said = [
        f"**Biomarkers.** {listed(parts)} at baseline ({listed(specimens(table))}) were analysed"
    ]
    if clinical.any():
        factors = markers.loc[clinical, "biomarker"].tolist()
        said[0] += (
            f", and with them the clinical factor{'s' * (len(factors) > 1)} {listed(factors)}"
        )
    said[0] += "."
    said.append(_families(screened))
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
    if beyond := _limits(screened):
        said.append(beyond)
    return " ".join(said)


def _families(screened: Mapping[str, pd.DataFrame]) -> str:
    """Say how many tests each family has, and how many are in none or could not be estimated."""
    counts: dict[str, dict[str, int]] = {}
    for name, table in screened.items():
        inside = table["q_value"].notna()
        few = table["note"].astype("str").str.contains(FEW_CARRIERS, regex=False)
        for what, rows in (
            ("all", inside | True),
            ("confirmatory", inside & table["family"].eq("confirmatory")),
            ("exploratory", inside & table["family"].eq("exploratory")),
            ("few", few & ~inside),
            ("lost", ~_estimated(table)),
        ):
            counts.setdefault(what, {})[name] = int(rows.sum())
    families = [
        _by_endpoint(counts[family], f"{family} test")
        for family in ("confirmatory", "exploratory")
        if any(counts[family].values())
    ]
    said = f"For an endpoint there are {_by_endpoint(counts['all'], 'test')} (a marker and its cut-point are two)"
    if families:
        said += f"; p-values were adjusted in families of {listed(families)}"
    if any(counts["few"].values()):
        said += (
            f"; {_by_endpoint(counts['few'], 'test')} of markers in which fewer than {LEAST_CARRIERS} subjects differ from the "
            "most common value belong to none"
        )
    if any(counts["lost"].values()):
        said += f"; {_by_endpoint(counts['lost'], 'test')} could not be estimated"
    return f"{said}."


def _estimated(table: pd.DataFrame) -> pd.Series:
    """Which tests have an estimate of the effect that they are of."""
    effect = next(name for name in EFFECTS if name in table)
    return table[effect].notna()


def _by_endpoint(counts: Mapping[str, int], one: str) -> str:
    """Return ``8 markers``, or ``8 markers for PFS and 5 for ORR`` where endpoints differ; those of none are left out."""
    if len(set(counts.values())) == 1:
        return number_of(next(iter(counts.values())), one)
    (first, n), *others = [(name, n) for name, n in counts.items() if n]
    return listed(
        [f"{number_of(n, one)} for {first}", *(f"{n:,} for {name}" for name, n in others)]
    )


def _limits(screened: Mapping[str, pd.DataFrame]) -> str:
    """Say what was done with values beyond limits of quantification, and to how many markers of each endpoint."""
    ways: dict[str, dict[str, int]] = {}
    for name, table in screened.items():
        share = table.get("fraction_censored", pd.Series(0.0, table.index)).astype(float)
        imputed = table["method"].astype("str").str.contains(POOLED, regex=False)
        expected = table["note"].astype("str").str.contains(EXPECTED, regex=False)
        for words, who in (
            (
                f"less than {100 * FEW_CENSORED:.0f} % of a marker's results, they stood at the limit over √2 if below it",
                (share > 0) & (share < FEW_CENSORED),
            ),
            (f"more, they were imputed {IMPUTATIONS} times and pooled by Rubin's rules", imputed),
            (
                "as many, but without a finite maximum of an imputed model, they stood at their expected value by a censored "
                "normal fit",
                expected,
            ),
            (
                f"more than {100 * MOST_CENSORED:.0f} %, the marker was analysed as detected or not",
                share > MOST_CENSORED,
            ),
        ):
            ways.setdefault(words, {})[name] = len(table.loc[who, KEY].drop_duplicates())
    said = [
        f"{words} ({_by_endpoint(n, 'marker')})" for words, n in ways.items() if any(n.values())
    ]
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
    fitted = stacked.loc[_estimated(stacked), "method"].astype("str")
    firth = int(fitted.str.contains("Firth").sum())
    randomised = _randomised(settings)
    logistic, cox = "response" in kinds, any(kind != "response" for kind in kinds)
    penalised = ""
    if firth:
        where = ["in logistic models"] * logistic
        where += [
            "in Cox models where events were few or the likelihood had no finite maximum"
        ] * cox
        penalised = f" Firth's penalty was used {', and '.join(where)} ({number_of(firth, 'model')} of {len(fitted):,})."
    reach = [
        "in Cox models by Student's t with the events and the carriers of the marker as degrees of freedom"
    ] * cox
    reach += ["in logistic models by chi-square"] * logistic
    if randomised and logistic:
        reach.append(
            "for a binary marker times 1 − 1/(3m), m being the fewest subjects of one level in one arm"
        )
    of = " of interactions" if randomised else ""
    penalised += f" Limits{of} are of the profile likelihood: {', '.join(reach)}"
    wald = fitted.str.contains(POOLED, regex=False).any()
    penalised += "; of markers pooled by Rubin's rules they are Wald's." if wald else "."
    level = f"{options['alpha']:g}"
    confirmatory = (stacked["family"] == "confirmatory").any()
    missing = _missing(tables, "predictive" if randomised else "prognostic", list(screened))
    if not randomised:
        return (
            f"**Prognostic biomarkers.** Each marker was related to {names} in {listed(models, 'or')}, {strata}{adjusted}one marker "
            f"a model.{penalised} The false discovery rate was controlled by the method of Benjamini and Hochberg within family and "
            f"endpoint, at {level}. Without a control arm nothing is said of the benefit from treatment.{missing}"
        )
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
            f"studentised in every one of {options['randomisations']:,} draws of the treatment{within}.{_went_on(stacked)}"
        )
        if stacked["note"].astype("str").str.contains(FACTOR, regex=False).any():
            text += " The null model of a factor by which the randomisation was stratified has no strata."
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
    return text + _shapes(tables, list(screened)) + missing


def _went_on(stacked: pd.DataFrame) -> str:
    """Say which p-values rest on more draws than all others, and on how many."""
    draws = stacked["method"].astype("str").str.extract(WENT_ON)[0].dropna().astype(int)
    if not len(draws):
        return ""
    many = f"{draws.min():,}" + (f"–{draws.max():,}" if draws.max() > draws.min() else "")
    return (
        f" {number_of(len(draws), 'exploratory test')} whose statistic fewer than {ENOUGH} of these reached went on by sequential Monte "
        f"Carlo, to {many} draws (Besag and Clifford 1991)."
    )


def _shapes(tables: Mapping[str, pd.DataFrame], endpoints: Sequence[str]) -> str:
    """Say how continuous markers were looked at closely, and how many."""
    looked = {
        name: len(table[KEY].drop_duplicates())
        for name in endpoints
        if (table := tables.get(f"predictive/continuous_{name}")) is not None
    }
    if not looked:
        return ""
    return (
        f" The shape of interactions was explored in {_by_endpoint(looked, 'continuous marker')} an endpoint, confirmatory ones first, "
        "by restricted cubic splines (Harrell 2015), treatment effects in overlapping windows (STEPP; Bonetti and Gelber 2000) and the "
        "cut-point at which effects differ most (Lausen and Schumacher 1992), each of the last two with a randomisation test over "
        "all windows or cut-points."
    )


def _missing(tables: Mapping[str, pd.DataFrame], folder: str, endpoints: Sequence[str]) -> str:
    """Say how missing markers were imputed to see whether they matter, and how many."""
    imputed = {
        name: int(table["analysis"].eq("multiple_imputation").sum())
        for name in endpoints
        if (table := tables.get(f"{folder}/sensitivity_{name}")) is not None
    }
    if not any(imputed.values()):
        return ""
    arm = "treatment, " if folder == "predictive" else ""
    return (
        " Main analyses leave out subjects without a value of the marker. As a sensitivity analysis such values of "
        f"{_by_endpoint(imputed, 'marker')} an endpoint, confirmatory ones and those of the smallest p-values first, were imputed "
        f"{IMPUTATIONS} times by chained equations from outcome, {arm}covariates and other markers (White and Royston 2009), taking "
        "them as missing at random."
    )


def _resistance(settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    options = settings["resistance"]
    early = f"{options['early_progression_months']:g} months"
    said = []
    if "resistance/intrinsic" in tables:
        table = tables["resistance/intrinsic"]
        markers = len(table[["biomarker", "specimen"]].drop_duplicates())
        ways = listed(_named(settings, name) for name in dict.fromkeys(table["endpoint"]))
        ways = ways.replace("early_progression", f"progression within {early}")
        test = "interaction" if _randomised(settings) else "effect"
        said.append(
            f"{number_of(markers, 'baseline marker')} of the pathways {'was' if markers == 1 else 'were'} related to {ways} by the "
            f"models and tests above; the false discovery rate of their {test} was controlled within endpoint."
        )
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
    if "resistance/acquired_by_timing" in tables:
        said.append(
            f"Within arm those who progressed within {early} were compared with those who progressed later, by Fisher's and "
            "Boschloo's exact tests."
        )
    if "resistance/paired_change" in tables:
        said.append(
            "Changes of measured biomarkers are Hodges–Lehmann estimates with Wilcoxon's signed-rank test."
        )
    if "resistance/longitudinal" in tables:
        alike = (
            "; one mean of both arms at baseline, Liang and Zeger 2000"
            if _randomised(settings)
            else ""
        )
        said.append(
            f"Courses over all visits were estimated by a mixed model (random intercept of the subject{alike}) with robust standard "
            "errors (Mancl and DeRouen 2001)."
        )
    if "resistance/lead_time" in tables:
        said.append(
            "Lead time is that from the first blood sample with a new alteration, or with a tumour fraction risen to at least twice its "
            "lowest, to progression on imaging: the median with order-statistic limits (Hollander et al. 2014), in subjects with both."
        )
    if "resistance/dynamics" in tables and options["early"]:
        said.append(
            f"Early change (to {listed(options['early'])}) was related to later survival from a landmark; subjects with an event or "
            "censored before it were left out."
        )
    if "resistance/time_dependent" in tables:
        said.append(
            "As a sensitivity analysis change was a time-dependent covariate of a Cox model, known from the first sample after "
            "baseline on (Andersen and Gill 1982)."
        )
    if "resistance/concordance" in tables:
        said.append(
            "Agreement of tissue and plasma is given as positive and negative agreement and Cohen's kappa"
            + (
                ", also by tumour fraction and by the interval between the samples."
                if "resistance/concordance_by_class" in tables
                else "."
            )
        )
    if "resistance/concordance_continuous" in tables:
        said.append(
            "Quantities measured in both are compared by Spearman's correlation (Bonett and Wright 2000) and, on one scale, by the "
            "limits of Bland and Altman (1986)."
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
        "size that such models need was calculated by the criteria of Riley and colleagues. A value that at least "
        f"{LEAST_CARRIERS} subjects lacked and as many had took an indicator, which is a candidate parameter; one that fewer lacked was imputed only.{_permuted(tables, models)}{_benefit(settings, tables)}"
    )


def _permuted(tables: Mapping[str, pd.DataFrame], models: Sequence[str]) -> str:
    """Say by how many permutations the response models were tested."""
    table = tables.get("response/permutation")
    if table is None or not table["permutations"].gt(0).any():
        return ""
    done = table.loc[table["permutations"] > 0]
    most = int(done["permutations"].max())
    without = [name for name in models if name not in set(done["model"])]
    but = f", for all models but {listed(without)}" if without else ""
    return (
        f" The whole procedure was repeated {number_of(most, 'time')} with outcomes permuted within arm{but}, which gives one-sided "
        "p-values (Phipson and Smyth 2010)."
    )


def _benefit(settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    """Say how treatment benefit was predicted and tested, with how many draws."""
    table = tables.get("response/benefit")
    if table is None or ("estimate" in table and table["estimate"].isna().all()):
        return ""
    draws = int(table["randomisations"].max())
    within = " within strata" if settings["study"]["strata"] else ""
    return (
        " Each subject's benefit from the experimental arm was predicted by a cross-fitted penalised model of arm, predictors and "
        "their products (Tian et al. 2014) and judged by the c-for-benefit (van Klaveren et al. 2018)"
        + (
            f" and by the score of arm × predicted benefit, with a one-sided p-value of {number_of(draws, 'draw')} of the arms{within}, "
            "for each of which the procedure was repeated."
            if draws
            else "."
        )
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
        "Results were left unrounded; p-values are two-sided unless said otherwise."
    )
