"""From the checked tables of a study to its cohort, every subject and sample accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from correlatives.cohort import DOMAINS, EMPTY, GIVEN, Cohort
from correlatives.markers import Markers
from correlatives.pairing import (
    means_progression,
    not_at_progression,
    sample_months,
    unpaired_by_specimen,
)
from correlatives.tables import alterations as genes
from correlatives.tables.arms import assign_arms, strata_codes
from correlatives.tables.baseline import baseline_columns
from correlatives.tables.choose import (
    CHOSEN,
    TIER,
    choices,
    rank_runs,
    rank_samples,
)
from correlatives.tables.consistency import check_batches, check_pairs
from correlatives.tables.derive import ratios, vaf_ratios
from correlatives.tables.dictionary import Dictionary
from correlatives.tables.eligibility import criteria_met
from correlatives.tables.inventory import expected_subjects, inventory, is_scheduled
from correlatives.tables.limits import taken_by
from correlatives.tables.outcomes import (
    check_outcomes,
    endpoint_columns,
    off_treatment_reason,
    progression_endpoint,
    progression_seen,
)
from correlatives.tables.plausibility import MANY
from correlatives.tables.problems import Problems
from correlatives.tables.readers import ROWS_A_PIECE
from correlatives.tables.signatures import signature_markers, signatures_of
from correlatives.tables.study import Study
from correlatives.tables.timepoints import (
    assign,
    baseline_name,
    check_windows,
    days_from_randomisation,
    progression_names,
    study_days,
)
from correlatives.tables.values import (
    Collected,
    chosen_frame,
    from_long,
    from_matrix,
    merged,
)
from correlatives.tables.words import nearest, numbered, words
from correlatives.time_units import DAYS_A_MONTH

#: Configuration lists that name columns of the subjects table, and the rule of a name that is none.
COLUMN_LISTS = (
    (("study", "strata"), "stratum_names_no_column"),
    (("predictive", "covariates"), "covariate_names_no_column"),
    (("predictive", "clinical_markers"), "covariate_names_no_column"),
    (("response", "clinical"), "covariate_names_no_column"),
    (("report", "table_one"), "covariate_names_no_column"),
)


#: Markers that are made from markers, without a copy of all; room that is not used costs nothing.
ROOM = 65_536


@dataclass(frozen=True)
class Built:
    """A cohort and the account of how it was made.

    Attributes
    ----------
    cohort : Cohort
    flow, inventory, eligibility, chosen_samples, signatures : pd.DataFrame
        ``check/{name}.tsv``.
    """

    cohort: Cohort
    flow: pd.DataFrame
    inventory: pd.DataFrame
    eligibility: pd.DataFrame
    chosen_samples: pd.DataFrame
    signatures: pd.DataFrame


class Assembly:
    """Builds a cohort, step by step; made for one call of `built`."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.config = study.config
        self.problems = study.problems
        self.flow = study.flow
        self.baseline = baseline_name(self.config)

    def built(self) -> Built:
        """Return the cohort and its account."""
        told = {(p.rule, p.column, p.subject_id) for p in self.problems.found}
        told_of = {
            (p.rule, p.file, p.row, p.subject_id) for p in self.problems.found if p.row is not None
        }
        before = len(self.problems.found)
        self._check_columns()
        self._subjects()
        self._samples()
        self._runs()
        collected = self._measured()
        markers = self._markers(collected)
        chosen = self._choose(collected)
        if "control" in self.labels:
            code = self.subjects["arm_code"].to_numpy(dtype=float)
            check_batches(self.runs, code, self.labels, self.problems)
        check_pairs(
            self.found.calls,
            self.runs,
            self.baseline,
            progression_names(self.config),
            self.problems,
        )
        cohort = Cohort(
            study=self._description(),
            subjects=self.subjects,
            markers=markers,
            samples=self._sample_table(),
            calls=self._call_table(),
            course=self._course(),
            pathways=self._pathways(),
        )
        self._account(cohort)
        found = self.problems.found
        # What was told of a row goes by the file's own names of columns there, and by ours here.
        found[before:] = [
            p
            for p in found[before:]
            if (p.rule, p.column, p.subject_id) not in told
            and (p.rule, p.file, p.row, p.subject_id) not in told_of
        ]
        return Built(
            cohort=cohort,
            flow=self.flow.frame(),
            inventory=self._inventory(cohort, collected),
            eligibility=self.eligibility,
            chosen_samples=chosen,
            signatures=self.signatures,
        )

    # Subjects ---------------------------------------------------------------------------------------

    def _check_columns(self) -> None:
        columns = list(self.study.subjects.columns)
        for (section, key), rule in COLUMN_LISTS:
            for name in (self.config.get(section) or {}).get(key) or []:
                if name not in columns:
                    self.problems.add(
                        rule,
                        f"{section}.{key} names column {name!r}, which the subjects table has not."
                        + nearest(str(name), columns),
                        table="subjects",
                        column=str(name),
                    )

    def _subjects(self) -> None:
        study, flow = self.study, self.flow
        given = study.subjects
        labels, code, set_aside, relabel = assign_arms(given, self.config, self.problems)
        ids = words(given["subject_id"])
        if not flow.started("subject"):
            arms = words(given["arm"]) if "arm" in given else np.full(len(given), "", object)
            flow.start("in the files", "subject", dict(zip(ids, arms, strict=True)))
        # Arms that are pooled, or not told apart, are one arm from the first step on.
        flow.relabel(relabel, labels.values())
        flow.leave_out("arms", "subject", set_aside)
        self.labels = labels
        self.set_aside = set_aside
        kept = np.array([subject not in set_aside for subject in ids], dtype=bool)
        # In the order of their names: a table exported anew with its rows in another order is the same data.
        order = sorted(np.flatnonzero(kept), key=lambda row: numbered(ids[row]))
        subjects = given.iloc[order].reset_index(drop=True)
        code = code[order]
        self.ids = ids[order]
        self.place = pd.Index(self.ids)
        self.first_dose = subjects["first_dose_day"].fillna(0.0).to_numpy(dtype=float)
        strata = strata_codes(subjects, list(self.config["study"]["strata"]), self.problems)
        endpoints = endpoint_columns(
            self.ids,
            self.config,
            study.outcomes,
            study.responses,
            study.assessments,
            self.first_dose,
            self.problems,
        )
        check_outcomes(
            self.ids,
            endpoints,
            self.config,
            study.outcomes,
            study.assessments,
            self.first_dose,
            self.problems,
        )
        criteria = list(self.config.get("eligibility") or [])
        self.eligibility, eligible = criteria_met(subjects, criteria, self.problems)
        everyone = str(self.config.get("population") or "randomised") != "eligible"
        stopped_for = off_treatment_reason(
            self.ids,
            study.doses,
            study.outcomes,
            progression_endpoint(self.config["endpoints"]),
        )
        own = {
            "arm_code": code,
            "stratum": strata,
            "in_population": np.ones(len(code), dtype=bool) if everyone else eligible == "met",
            "eligible": eligible,
            **{column: endpoints[column].to_numpy() for column in endpoints},
            "progression_seen": progression_seen(
                self.ids, endpoints, self.config["endpoints"], study.assessments, stopped_for
            ),
            "off_treatment_reason": stopped_for,
        }
        covariates = {
            column: subjects[column]
            for column in subjects
            if column not in ("subject_id", "arm")
            and not column.startswith("_")
            # The reader adds this one whether or not the data have it.
            and not (column == "randomisation_date" and subjects[column].isna().all())
        }
        self.columns = list(covariates)
        self.described = baseline_columns(pd.DataFrame(covariates), self.config)
        role = ["control", "experimental"] if "control" in labels else ["all", "all"]
        arm = np.array([labels[role[0 if np.isnan(c) else int(c)]] for c in code], dtype=object)
        self.subjects = pd.DataFrame(
            {
                "subject_id": self.ids,
                "arm": arm,
                **own,
                **{
                    f"{column}{GIVEN}" if column in own else column: values
                    for column, values in covariates.items()
                },
            }
        )
        self.reference = progression_endpoint(self.config["endpoints"])

    # Samples and runs -------------------------------------------------------------------------------

    def _samples(self) -> None:
        given = self.study.samples
        subject = words(given["subject_id"])
        at = self.place.get_indexer(subject)
        ids = words(given["sample_id"])
        if not self.flow.started("sample"):
            arm_of = dict(
                zip(
                    words(self.study.subjects["subject_id"]),
                    words(self.study.subjects["arm"])
                    if "arm" in self.study.subjects
                    else np.full(len(self.study.subjects), "", object),
                    strict=True,
                )
            ) | dict(zip(self.ids, self.subjects["arm"], strict=True))
            members = {
                sample: arm_of.get(owner, "") for sample, owner in zip(ids, subject, strict=True)
            }
            self.flow.start("in the files", "sample", members)
        gone = {
            sample: "subject set aside" if owner in self.set_aside else "unknown subject"
            for sample, owner, index in zip(ids, subject, at, strict=True)
            if index < 0
        }
        self.flow.leave_out("subjects of the cohort", "sample", gone)
        self.samples = given.loc[at >= 0].reset_index(drop=True)
        at = at[at >= 0]
        first_dose = self.first_dose[at]
        progression = self.subjects["progression_months"].to_numpy(dtype=float)[at] * DAYS_A_MONTH
        day = self.samples["day"].to_numpy(dtype=float)
        elapsed = days_from_randomisation(day, first_dose)
        self.samples = self.samples.assign(
            subject=at,
            analysis=assign(self.samples, self.config, self.problems),
            elapsed=elapsed,
            progression_elapsed=progression,
        )
        # Times in months name a day only to within rounding.
        exact = str(self.config["study"].get("time_unit", "months")) == "days"
        check_windows(self.samples, self.config, None if exact else 1.0, self.problems)
        place, rank, rule = rank_samples(
            self.samples, self.config, study_days(progression, first_dose)
        )
        self.samples = self.samples.assign(place=place)
        self.sample_rank, self.sample_rule = rank, rule

    def _runs(self) -> None:
        given = self.study.runs
        at = pd.Index(words(self.samples["sample_id"])).get_indexer(words(given["sample_id"]))
        runs = given.loc[at >= 0].reset_index(drop=True)
        at = at[at >= 0]
        owner = self.samples.iloc[at].reset_index(drop=True)
        # One table may hold samples and runs: what the sample says stands where both have a column.
        runs = runs.assign(
            sample=at,
            subject=owner["subject"].to_numpy(),
            subject_id=words(owner["subject_id"]),
            specimen=words(owner["specimen"]),
            analysis=words(owner["analysis"]),
            assay=words(runs["assay"]),
            failed=words(runs["qc"]) == "fail",
        )
        version_rank, self.run_rule, self.run_best = rank_runs(runs)
        order = self.sample_rank[at] * (int(version_rank.max(initial=0)) + 1) + version_rank
        self.runs = runs.assign(version_rank=version_rank, order=order)

    # Markers ----------------------------------------------------------------------------------------

    def _measured(self) -> Collected:
        study = self.study
        self.dictionary = Dictionary(study.biomarkers)
        replicates = str((self.config.get("choose") or {}).get("replicates") or "mean")
        collected = Collected()
        n = len(self.ids)
        common = (self.runs, n, self.dictionary, replicates, collected, self.problems)
        if len(study.measurements):
            from_long(study.measurements, study.defaults, *common)
        for number, matrix in enumerate(study.matrices):
            from_matrix(matrix, number, *common)
        self.found = genes.evidence(
            study.alterations,
            study.coverage,
            "coverage" in study.given,
            self.runs,
            self.config,
            self.problems,
        )
        self.call_chosen, self.call_looked_for, self.used = genes.gene_and_pathway_markers(
            self.found,
            self.runs,
            study.pathways,
            study.coverage if "coverage" in study.given else None,
            n,
            self.dictionary,
            collected,
        )
        genes.burden_markers(self.found, self.runs, study.coverage, n, self.dictionary, collected)
        return collected

    def _markers(self, collected: Collected) -> Markers:
        markers = merged(collected.blocks, self.ids, self.problems, room=ROOM)
        early = [str(name) for name in (self.config.get("resistance") or {}).get("early") or []]
        wide = {
            str(feature) for matrix in self.study.matrices for feature in matrix.features
        } - set(words(self.study.measurements["biomarker"]))
        scores, self.signatures = signature_markers(
            markers, self.study.signatures, wide, self.baseline, self.dictionary, self.problems
        )
        derived = scores + ratios(markers, self.baseline, early, wide, self.dictionary)
        for specimen, timepoint in sorted(self.used):
            if timepoint not in early or (specimen, self.baseline) not in self.used:
                continue
            names = self.used[specimen, self.baseline][0]
            first = self._vaf((specimen, self.baseline))
            later = self._vaf((specimen, timepoint))
            derived += vaf_ratios(*later, *first, names, (specimen, timepoint), self.dictionary)
        if derived:
            markers = markers.followed_by(merged(derived, self.ids, self.problems))
        self._check_transforms(markers)
        return markers

    def _check_transforms(self, markers: Markers) -> None:
        """Count the results that their biomarker's transform is not defined for."""
        info = markers.info
        transform = info["transform"].to_numpy(dtype=object)
        quantity = info["kind"].isin(["continuous", "count"]).to_numpy(dtype=bool)
        lost, results = np.zeros(len(info), dtype=np.int64), np.zeros(len(info), dtype=np.int64)
        for name in ("log2", "log10", "logit", "sqrt"):
            every = np.flatnonzero(quantity & (transform == name))
            for start in range(0, len(every), ROWS_A_PIECE):
                rows = every[start : start + ROWS_A_PIECE]
                there = TIER[markers.state[rows]] == 0
                results[rows] = there.sum(axis=1)
                lost[rows] = (there & ~taken_by(name, markers.value[rows])).sum(axis=1)
        key = ["biomarker", "specimen", "transform"]
        counts = info[key].assign(lost=lost, results=results)[results > 0]
        counts = counts[counts["biomarker"].isin(info["biomarker"][lost > 0])]
        counts = counts.groupby(key, sort=False, dropna=False).sum().reset_index()
        counts = counts[counts["lost"] > 0]
        what = (
            "and are left out of what is analysed on that scale. Give the limit below which the laboratory does not "
            "measure as `lloq`, or another transform."
        )
        if len(counts) > MANY:
            first = ", ".join(counts["biomarker"][:3])
            self.problems.add(
                "value_not_transformable",
                f"{counts['lost'].sum()} of {counts['results'].sum()} values of {len(counts)} biomarkers ({first}, …) "
                f"have no {' or '.join(counts['transform'].unique())}, {what}",
                table="measurements",
                column="value",
                value=f"{len(counts)} biomarkers",
            )
            return
        for row in counts.itertuples():
            self.problems.add(
                "value_not_transformable",
                f"{row.lost} of {row.results} values of {row.biomarker} ({row.specimen}) have no {row.transform}, {what}",
                table="measurements",
                column="value",
                value=row.biomarker,
            )

    def _vaf(self, where: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
        return genes.vaf_of_genes(
            self.found,
            self.runs,
            self.study.coverage,
            self.used[where],
            self.call_chosen,
            where,
        )

    # Choices and account ----------------------------------------------------------------------------

    def _choose(self, collected: Collected) -> pd.DataFrame:
        runs, samples = self.runs, self.samples
        columns = ["run", "source", "biomarker", "assay"]
        sources = (
            pd.concat(
                [pd.DataFrame(columns=columns), *(s for s in collected.sources if len(s))],
                ignore_index=True,
            )
            if any(len(s) for s in collected.sources)
            else pd.DataFrame(columns=columns)
        )
        run = sources["run"].to_numpy(dtype=np.int64)
        sources = sources.assign(sample=runs["sample"].to_numpy(dtype=np.int64)[run])
        table = choices(
            sources, samples, self.sample_rank, self.sample_rule, self.config, self.problems
        )
        rows = list(collected.chosen)
        run_ids, subject = words(runs["run_id"]), words(runs["subject_id"])
        for index in np.flatnonzero((self.run_rule != "") & (words(runs["analysis"]) != "")):
            rows.append(
                (
                    subject[index],
                    runs["specimen"].iloc[index],
                    runs["analysis"].iloc[index],
                    "",
                    run_ids[self.run_best[index]],
                    run_ids[index],
                    self.run_rule[index],
                )
            )
        table = pd.concat([table, chosen_frame(rows)], ignore_index=True) if rows else table
        table = table.drop_duplicates().sort_values([*CHOSEN[:4], "rejected"], kind="stable")

        looked = np.zeros(len(runs), dtype=bool)
        looked[self.found.runs] = True
        failed = runs["failed"].to_numpy(dtype=bool)
        assay = words(runs["assay"])
        universe = pd.DataFrame(
            {
                "run": self.found.runs,
                "source": ["alterations\t" + assay[r] for r in self.found.runs],
            }
        )
        universe = universe[~failed[self.found.runs]]
        every = pd.concat([sources[["run", "source"]], universe], ignore_index=True)
        at = every["run"].to_numpy(dtype=np.int64)
        placed = words(runs["analysis"])[at] != ""
        every = every.assign(
            place=samples["place"].to_numpy()[runs["sample"].to_numpy(dtype=np.int64)[at]],
            order=runs["order"].to_numpy(dtype=np.int64)[at],
        )[placed]
        best = every.groupby(["place", "source"])["order"].transform("min")
        stands = np.zeros(len(runs), dtype=bool)
        stands[every.loc[every["order"] == best, "run"].to_numpy(dtype=np.int64)] = True
        # The sample that stands for a gene may not be the first in rank (an unreadable one is passed over).
        for _, used in self.used.values():
            stands[np.unique(used[used >= 0])] = True
        result = looked.copy()
        result[run] = True
        self.with_result = result & ~failed
        placed = words(runs["analysis"]) != ""
        self.runs = runs.assign(
            usable=self.with_result & placed, chosen=stands & self.with_result & placed
        )
        return table.reset_index(drop=True)

    def _account(self, cohort: Cohort) -> None:
        flow, runs = self.flow, self.runs
        ids = words(self.samples["sample_id"])
        sample = runs["sample"].to_numpy(dtype=np.int64)

        def of(flag: np.ndarray) -> np.ndarray:
            marked = np.zeros(len(ids), dtype=bool)
            marked[sample[flag]] = True
            return marked

        failed = runs["failed"].to_numpy(dtype=bool)
        every = of(np.ones(len(runs), dtype=bool))
        for step, reason, gone in (
            ("quality control", "every run failed quality control", every & ~of(~failed)),
            ("timepoints", "no timepoint", words(self.samples["analysis"]) == ""),
            ("results", "no result", ~of(self.with_result)),
            ("choice", "another sample was chosen", ~of(runs["chosen"].to_numpy(dtype=bool))),
        ):
            flow.leave_out(step, "sample", dict.fromkeys(ids[gone], reason))
        self._branches(cohort)

    def _branches(self, cohort: Cohort) -> None:
        subjects, markers = cohort.subjects, cohort.markers
        outside = {
            subject: "not eligible" if status == "not_met" else "eligibility unknown"
            for subject, status, inside in zip(
                self.ids, subjects["eligible"], subjects["in_population"], strict=True
            )
            if not inside
        }
        domains = {}
        at_baseline = (markers.info["timepoint"] == self.baseline).to_numpy(dtype=bool)
        for domain in DOMAINS:
            rows = np.flatnonzero(at_baseline & (markers.info["domain"] == domain).to_numpy(bool))
            if len(rows):
                evaluable = np.zeros(len(self.ids), dtype=bool)
                for row in rows:
                    evaluable |= TIER[markers.state[row]] == 0
                    if evaluable.all():
                        break
                domains[domain] = evaluable
        for name, endpoint in self.config["endpoints"].items():
            column = name if endpoint["type"] == "response" else f"{name}_months"
            unknown = subjects[column].isna().to_numpy()
            if endpoint["type"] != "response":
                unknown = unknown | subjects[f"{name}_event"].isna().to_numpy()
            # Who did not respond has no duration of response to know.
            answers = subjects.get(endpoint.get("of"), pd.Series(np.nan, subjects.index))
            no_outcome = {
                subject: "no response" if answer == 0 else "no outcome"
                for subject, answer in zip(self.ids[unknown], answers[unknown], strict=True)
            }
            self.flow.branch(f"analysis: {name}", "subject", no_outcome | outside)
            if endpoint["type"] == "duration_of_response":
                continue
            for domain, evaluable in domains.items():
                without = dict.fromkeys(self.ids[~evaluable], "no evaluable baseline sample")
                self.flow.branch(
                    f"analysis: {name}, {domain}", "subject", without | no_outcome | outside
                )
        to = progression_names(self.config)[0]
        at_progression = means_progression(self.config.get("timepoints") or {}, to)
        for (specimen, what), why in unpaired_by_specimen(
            cohort, self.baseline, to, at_progression=at_progression
        ).items():
            reasons = {
                subject: reason for subject, reason in zip(self.ids, why, strict=True) if reason
            }
            self.flow.branch(f"resistance: pairs, {specimen}, {what}", "subject", reasons | outside)

    def _inventory(self, cohort: Cohort, collected: Collected) -> pd.DataFrame:
        runs, subjects, samples = self.runs, self.subjects, self.samples
        own = pd.DataFrame({"run": np.arange(len(runs)), "assay": words(runs["assay"])})
        tried = [s[["run", "assay"]] for s in collected.sources if len(s)]
        results = pd.concat([own.iloc[:0], *tried], ignore_index=True)
        unnamed = words(results["assay"]) == ""
        at = results["run"].to_numpy(dtype=np.int64)
        results["assay"] = np.where(unnamed, words(runs["assay"])[at], words(results["assay"]))
        looked = own.iloc[self.found.runs]
        # A verdict of quality control is one on an assay that was done.
        done = pd.concat([results, looked, own[runs["failed"].to_numpy(dtype=bool)]])
        done = done.drop_duplicates().assign(assayed=True)
        # An assay that nobody has a result of yet is listed too.
        named = own[(own["assay"] != "") & ~own["run"].isin(done["run"])].assign(assayed=False)
        assays = pd.concat([done, named], ignore_index=True)
        months = (
            subjects[f"{self.reference}_months"].to_numpy(dtype=float)
            if self.reference
            else np.full(len(subjects), np.nan)
        )
        seen = words(subjects["progression_seen"])
        aside, believed = self._not_at_progression(cohort)
        expected = {
            timepoint: expected_subjects(
                timepoint,
                self.config,
                months,
                (seen == "yes") | believed.get(timepoint, False),
                self.first_dose,
            )
            for timepoint in sorted(set(words(samples["analysis"])) - {""})
            if is_scheduled(timepoint, self.config)
        }
        of_run = runs["sample"].to_numpy(dtype=np.int64)[assays["run"].to_numpy(dtype=np.int64)]
        assays = assays[~aside[of_run]]
        samples = samples[~aside]
        labels = list(dict.fromkeys(self.labels.values()))
        return inventory(
            runs,
            samples,
            assays,
            subjects["arm"].to_numpy(dtype=object),
            labels,
            expected,
            self._timepoints(),
        )

    def _not_at_progression(self, cohort: Cohort) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return which samples are labelled as at progression and are not, and whose label is believed.

        Returns
        -------
        aside : np.ndarray of bool, shape (s,)
        believed : dict
            Timepoint -> subjects with a sample of whom it is not known whether they progressed, shape (n,).
        """
        samples = self.samples
        analysis, specimen = words(samples["analysis"]), words(samples["specimen"])
        subject = samples["subject"].to_numpy(dtype=np.int64)
        unknown = words(self.subjects["progression_seen"]) == ""
        aside = np.zeros(len(samples), dtype=bool)
        believed = {}
        for timepoint in progression_names(self.config):
            if not means_progression(self.config.get("timepoints") or {}, timepoint):
                continue
            at = analysis == timepoint
            for name in sorted(set(specimen[at])):
                why = not_at_progression(cohort, sample_months(cohort, name, timepoint))
                here = at & (specimen == name)
                aside[here] = (why != "")[subject[here]]
            believed[timepoint] = unknown & np.isin(np.arange(len(unknown)), subject[at & ~aside])
        return aside, believed

    def _timepoints(self) -> list[str]:
        """Return the timepoints in order: baseline, as configured, progression last where not configured."""
        configured = list(self.config.get("timepoints") or {})
        late = [name for name in progression_names(self.config) if name not in configured]
        found = sorted(set(words(self.samples["analysis"])) - {"", *configured, *late})
        return list(dict.fromkeys([self.baseline, *configured, *found, *late]))

    # Tables beside the matrices ---------------------------------------------------------------------

    def _description(self) -> dict[str, Any]:
        study = self.config["study"]
        return {
            "id": str(study["id"]),
            "title": str(study.get("title") or study["id"]),
            "design": study["design"],
            "arms": self.labels,
            "strata": [c for c in study["strata"] if c in self.columns],
            "endpoints": self.config["endpoints"],
            "simulated": bool(study.get("simulated", False)),
            "baseline": self.baseline,
            "timepoints": self._timepoints(),
            "population": str(self.config.get("population") or "randomised"),
            "columns": self.columns,
            "described": self.described,
            "alterations_count": list(self.config.get("alterations_count") or []),
            "evaluable": dict(self.config.get("evaluable") or {}),
            "signatures": self._signatures(),
            "clinical": self.dictionary.clinical(self.columns),
        }

    def _signatures(self) -> dict[str, Any]:
        """Return what each signature is made of: the same name may mean another list elsewhere."""
        table = self.study.signatures
        return {
            one.name: {
                "score": one.score,
                "genes": [
                    gene if weight == 1 else f"{gene} × {weight:g}"
                    for gene, weight in zip(one.genes, one.weight, strict=True)
                ],
            }
            for one in (signatures_of(table, Problems()) if len(table) else [])
        }

    def _sample_table(self) -> pd.DataFrame:
        runs = self.runs
        owner = self.samples.iloc[runs["sample"].to_numpy(dtype=np.int64)].reset_index(drop=True)
        text = {
            "run_id": runs["run_id"],
            "sample_id": runs["sample_id"],
            "subject_id": runs["subject_id"],
            "specimen": runs["specimen"],
            "visit": owner["timepoint"],
            "timepoint": runs["analysis"],
            "assay": runs["assay"],
            "version": runs["version"],
            "batch": runs["batch"],
            "qc": runs["qc"],
            "site_of_tissue": owner["site_of_tissue"],
            "anatomical_site": owner["anatomical_site"],
            "lesion_id": owner["lesion_id"],
        }
        numbers = {
            "day": owner["day"],
            "months": owner["elapsed"] / DAYS_A_MONTH,
            "days_since_last_dose": owner["days_since_last_dose"],
            "block_age_years": owner["block_age_years"]
            if "block_age_years" in owner
            else pd.Series(np.nan, owner.index),
            "tumour_fraction": runs["tumour_fraction"],
        }
        flags = {name: runs[name].to_numpy(dtype=bool) for name in ("usable", "chosen")}
        flags["sequenced"] = np.isin(np.arange(len(runs)), self.found.runs)
        table = pd.DataFrame(
            {name: words(column) for name, column in text.items()}
            | {name: column.to_numpy(dtype=float) for name, column in numbers.items()}
            | flags
        )
        return self._in_order(table[EMPTY["samples"]])

    def _call_table(self) -> pd.DataFrame:
        calls = self.found.calls
        at = calls["run"].to_numpy(dtype=np.int64)
        owner = self.runs.iloc[at]
        text = {
            "subject_id": owner["subject_id"],
            "run_id": owner["run_id"],
            "sample_id": owner["sample_id"],
            "specimen": owner["specimen"],
            "timepoint": owner["analysis"],
        } | {
            name: calls[name]
            for name in (
                "gene",
                "alteration",
                "kind",
                "significance",
                "copy_number_scale",
                "partner",
                "origin",
            )
        }
        numbers = {name: calls[name].to_numpy(dtype=float) for name in ("vaf", "copy_number")}
        flags = {
            # A call of a run that failed quality control makes nothing altered.
            "counted": calls["counted"].to_numpy(dtype=bool)
            & ~owner["failed"].to_numpy(dtype=bool),
            "chosen": self.call_chosen,
            "looked_for": self.call_looked_for,
        }
        table = pd.DataFrame(
            {name: words(column) for name, column in text.items()} | numbers | flags
        )
        return self._in_order(table[EMPTY["calls"]])

    def _in_order(self, table: pd.DataFrame) -> pd.DataFrame:
        """Rows by subject, then by what they say: the order in which a file lists them is no data."""
        place = self.place.get_indexer(table["subject_id"])
        order = table.assign(subject_id=place).sort_values(list(table), kind="stable").index
        return table.loc[order].reset_index(drop=True)

    def _course(self) -> pd.DataFrame:
        doses, assessments = self.study.doses, self.study.assessments
        parts = []
        if len(doses):
            parts.append(
                pd.DataFrame(
                    {
                        "subject_id": words(doses["subject_id"]),
                        "what": "dose",
                        "name": words(doses["drug"]),
                        "start_day": doses["start_day"].to_numpy(dtype=float),
                        "stop_day": doses["stop_day"].to_numpy(dtype=float),
                        "value": doses["dose_mg"].to_numpy(dtype=float),
                        "new_lesion": "",
                    }
                )
            )
        if len(assessments):
            day = assessments["day"].to_numpy(dtype=float)
            parts.append(
                pd.DataFrame(
                    {
                        "subject_id": words(assessments["subject_id"]),
                        "what": "assessment",
                        "name": words(assessments["response"]),
                        "start_day": day,
                        "stop_day": day,
                        "value": assessments["sum_mm"].to_numpy(dtype=float),
                        "new_lesion": words(assessments["new_lesion"]),
                    }
                )
            )
        if not parts:
            return pd.DataFrame(columns=EMPTY["course"])
        course = pd.concat(parts, ignore_index=True)
        course = course[course["subject_id"].isin(self.place)]
        return course.sort_values(
            ["subject_id", "what", "start_day", "name"], kind="stable"
        ).reset_index(drop=True)[EMPTY["course"]]

    def _pathways(self) -> pd.DataFrame:
        pathways = self.study.pathways
        return pd.DataFrame(
            {name: words(pathways[name]) if name in pathways else "" for name in EMPTY["pathways"]},
            columns=EMPTY["pathways"],
        )


def build_cohort(study: Study) -> Built:
    """Join a study's tables into the cohort, and account for every subject and sample.

    Nothing is raised for what the data hold; problems are added to ``study.problems`` (those that reading
    the tables has told already are not told again), and with errors among them the cohort is not
    meant to be analysed.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Built
    """
    return Assembly(study).built()
