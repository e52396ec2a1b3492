"""What is wrong with the input: collected, never raised, told all at once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd


class Problem(NamedTuple):
    """One line of ``check/problems.tsv``."""

    severity: str
    table: str
    file: str
    row: int | None
    column: str
    subject_id: str
    value: str
    rule: str
    message: str


#: Order of the severities in tables and summaries.
SEVERITIES = ("error", "warning", "accepted")


class Problems:
    """Collects problems; severity follows from the rule.

    ``add(rule, message, table=, file=, row=, column=, subject_id=, value=)`` notes one. The rules are in
    ``RULES``: id -> (severity, what it means). An unknown rule id is a KeyError, so that ids stay
    documented and stable. ``accept(entries)`` turns matching warnings, those found already and those still to
    come, into ``accepted``.
    """

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self._seen: set[Problem] = set()
        self._accepted: list[Mapping[str, Any]] = []

    def __len__(self) -> int:
        return len(self.found)

    def add(
        self,
        rule: str,
        message: str,
        *,
        table: str = "",
        file: str = "",
        row: int | None = None,
        column: str = "",
        subject_id: str = "",
        value: object = "",
    ) -> None:
        """Note one problem."""
        severity, _ = RULES[rule]
        problem = Problem(
            severity,
            table,
            str(file),
            None if row is None else int(row),
            str(column),
            str(subject_id),
            str(value),
            rule,
            message,
        )
        problem = self._judged(problem)
        if problem not in self._seen:  # one file may serve as several tables, or be named twice
            self._seen.add(problem)
            self.found.append(problem)

    def accept(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Take note of warnings: ``[{rule:, table:, subject_id:, reason:}]``; an error cannot be accepted."""
        for entry in entries:
            rule = str(entry.get("rule", ""))
            if RULES.get(rule, ("",))[0] != "warning":
                why = (
                    "is an error, which has to be put right in the data"
                    if rule in RULES
                    else "is no rule"
                )
                self.add(
                    "accept_names_no_warning",
                    f"accept: {rule!r} {why}. Accept warnings only, by the rule ids of "
                    "check/problems.tsv.",
                    column="accept",
                    value=rule,
                )
                continue
            self._accepted.append(entry)
        self.found = [self._judged(problem) for problem in self.found]

    def _judged(self, problem: Problem) -> Problem:
        if problem.severity != "warning":
            return problem
        for entry in self._accepted:
            if str(entry["rule"]) == problem.rule and all(
                entry.get(name) in (None, "") or str(entry[name]) == getattr(problem, name)
                for name in ("table", "subject_id")
            ):
                reason = entry.get("reason")
                told = f" (accepted: {reason})" if reason else " (accepted)"
                return problem._replace(severity="accepted", message=problem.message + told)
        return problem

    @property
    def errors(self) -> list[Problem]:
        """Those that stop the run."""
        return [problem for problem in self.found if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        """Those that do not, and that nobody has accepted."""
        return [problem for problem in self.found if problem.severity == "warning"]

    def sorted(self) -> list[Problem]:
        """Errors first, then by table, file, row and column."""
        return sorted(
            self.found,
            key=lambda p: (
                SEVERITIES.index(p.severity),
                p.table,
                p.file,
                p.row or 0,
                p.column,
                p.subject_id,
                p.rule,
                p.value,
                p.message,
            ),
        )

    def frame(self) -> pd.DataFrame:
        """Return ``check/problems.tsv``: errors first, then by table, file, row and column."""
        import pandas as pd

        return pd.DataFrame(self.sorted(), columns=list(Problem._fields)).astype({"row": "Int64"})

    def summary(
        self, path: str = "check/problems.tsv", *, lines_a_rule: int = 5, colour: bool | None = None
    ) -> str:
        """Return what a person reads on the terminal; see ``summarise``."""
        return summarise(self.sorted(), path, lines_a_rule=lines_a_rule, colour=colour)


def summarise(
    problems: Iterable[Problem],
    path: str = "check/problems.tsv",
    *,
    lines_a_rule: int = 5,
    colour: bool | None = None,
) -> str:
    """Tell the problems on a terminal: counts, then by file, errors first.

    Parameters
    ----------
    problems : iterable of Problem
        In the order of ``Problems.sorted``; rows of ``problems.tsv`` read back will do.
    path : str
        Where the complete list is, for the last line.
    lines_a_rule : int
        Lines printed a rule and file; the rest is counted.
    colour : bool, optional
        ANSI colours; by default only where standard error is a terminal.

    Returns
    -------
    str
        No trailing newline.
    """
    told = list(problems)
    if not told:
        return "The input tables: no problem found."
    if colour is None:
        colour = sys.stderr.isatty()
    paint = {"error": "\033[31m", "warning": "\033[33m", "accepted": "\033[2m"}
    counts = {s: sum(problem.severity == s for problem in told) for s in SEVERITIES}
    words = [
        f"{n} {severity}{'s' if n != 1 and severity != 'accepted' else ''}"
        for severity, n in counts.items()
        if n
    ]
    lines = [f"The input tables: {', '.join(words)}."]
    for severity in SEVERITIES:
        if severity == "accepted":
            continue  # taken note of: counted above, listed in the file
        chosen = [problem for problem in told if problem.severity == severity]
        for place in dict.fromkeys((problem.table, problem.file) for problem in chosen):
            table, file = place
            head = " · ".join(part for part in (severity, table, file) if part)
            lines += [
                "",
                f"{paint[severity]}{head}\033[0m" if colour else head,
            ]
            here = [problem for problem in chosen if (problem.table, problem.file) == place]
            for rule in dict.fromkeys(problem.rule for problem in here):
                same = [problem for problem in here if problem.rule == rule]
                lines += [f"  {_place(problem)} [{rule}]" for problem in same[:lines_a_rule]]
                if len(same) > lines_a_rule:
                    more = len(same) - lines_a_rule
                    lines.append(f"  and {more} more {'row' if more == 1 else 'rows'} [{rule}]")
    lines += ["", f"All of them, with file, row, column and value: {path}"]
    return "\n".join(lines)


def _place(problem: Problem) -> str:
    """Return "row 14, column time: what is wrong" as far as the place is known."""
    row = "" if problem.row is None or problem.row != problem.row else f"row {problem.row}"
    column = f"column {problem.column}" if problem.column else ""
    place = ", ".join(part for part in (row, column) if part)
    return f"{place}: {problem.message}" if place else problem.message


#: rule id -> (severity, what it means and what to do); the ids are stable: `accept` names them.
RULES: dict[str, tuple[str, str]] = {
    # files
    "file_missing": ("error", "a table's path leads to no file"),
    "file_empty": ("error", "a file without a single line of text, or a sheet without a cell"),
    "file_without_rows": ("error", "a header and nothing below it"),
    "file_not_text": ("error", "a text table that is not text, or not in the encoding stated"),
    "file_format_unknown": ("error", "a file whose ending no reader knows"),
    "file_unreadable": ("error", "a workbook or data file that its reader cannot open"),
    "sheet_missing": ("error", "a workbook without the sheet that the configuration names"),
    "header_row_missing": ("error", "header_row lies beyond the end of the file"),
    "ragged_row": ("error", "a row with more or fewer fields than the header has names"),
    "open_quote": ("error", "a quotation mark that is never closed, or closed within a field"),
    "formula_without_value": ("error", "a workbook cell whose formula was never calculated"),
    # columns
    "column_duplicate": ("error", "two columns of one name"),
    "column_unnamed": ("error", "a column with values and no name"),
    "column_missing": ("error", "a required column that is not there"),
    "mapping_names_no_column": (
        "error",
        "`columns`, `layout` or `select` names a column that is not there",
    ),
    "filter_invalid": ("error", "a `where` that cannot be understood"),
    "filter_names_no_column": ("error", "a `where` that names no column of the file"),
    "stratum_names_no_column": ("error", "a stratum that is no column of the subjects table"),
    "covariate_names_no_column": (
        "error",
        "a covariate, clinical marker or column of Table 1 of the configuration that is no column of the subjects table",
    ),
    "criterion_invalid": ("error", "an eligibility criterion that cannot be understood"),
    "criterion_names_no_column": ("error", "an eligibility criterion that names no column"),
    "endpoint_unknown": ("error", "a configured endpoint for which the tables have nothing"),
    "endpoint_names_no_column": ("error", "a response endpoint's column that is not there"),
    # cells
    "value_missing": ("error", "an empty cell where there must be something"),
    "not_a_number": ("error", "text where a number belongs"),
    "not_an_integer": ("error", "a fraction where a whole number belongs"),
    "not_a_date": ("error", "a date that cannot be read, or read in two ways"),
    "decimal_sign": ("error", "a decimal sign other than the file's"),
    "thousands_separator": ("error", "a number with separators between its thousands"),
    "infinite_value": ("error", "an infinite value"),
    "word_not_allowed": ("error", "a word that the column does not know"),
    "word_not_a_value": (
        "error",
        "a word that is neither a value, nor a level of its biomarker, nor a mapped non-result",
    ),
    "out_of_range": ("error", "a number outside what its column can hold"),
    "negative_time": ("error", "a time before randomisation"),
    "event_not_0_or_1": ("error", "an event that is neither 0 nor 1"),
    "vaf_outside_scale": ("error", "a variant allele fraction outside its scale"),
    "vaf_scale_missing": ("error", "variant allele fractions without a stated scale"),
    "tumour_fraction_outside_scale": ("error", "a tumour fraction outside 0 to 1"),
    "study_day_zero": ("error", "study day 0: day 1 is the first dose, the day before it is -1"),
    "date_without_randomisation": (
        "error",
        "a date in place of a study day, of a subject without a randomisation date",
    ),
    "signature_contradicts_itself": ("error", "a signature with two scores or two pathways"),
    "interval_reversed": ("error", "an interval that ends before it starts"),
    "limits_reversed": ("error", "a lower limit of quantification above the upper"),
    "dictionary_invalid": ("error", "a row of the dictionary that contradicts itself"),
    "conversion_invalid": ("error", "a unit conversion that cannot be read"),
    # keys and references
    "duplicate_key": (
        "error",
        "two rows with one key that no rule of `choose` resolves, or two results of one sample that are different words",
    ),
    "unresolved_choice": (
        "error",
        "several samples or results for one place where `choose` says refuse",
    ),
    "unknown_subject": ("error", "a subject that is not in the subjects table"),
    "unknown_sample": ("error", "a sample that is not in the samples table"),
    "unknown_run": ("error", "a run that is not in the runs table"),
    "unknown_specimen": ("error", "a specimen that the contract does not know"),
    "run_of_other_sample": ("error", "a row whose run belongs to another sample than it names"),
    "run_ambiguous": ("error", "a row that names a sample with several runs and not which run"),
    "subject_without_arm": ("error", "a subject of a randomised study without an arm"),
    "arm_empty": ("error", "an arm of the configuration in which there is nobody"),
    "files_disagree": ("error", "two files that say different things of one key"),
    "two_units": ("error", "two units for one biomarker, and no conversion"),
    "alias_conflict": ("error", "an alias that stands for two identifiers, or for none"),
    "correction_invalid": ("error", "a correction that names no table, key, row or column"),
    "correction_old_differs": ("error", "a correction whose `old` is not what the file holds"),
    "accept_names_no_warning": ("error", "an `accept` entry that names no warning"),
    # locked models (`score`)
    "locked_model_invalid": (
        "error",
        "a file of `score.locked` that is no locked model, was changed after it was written, or lacks an entry",
    ),
    "locked_endpoint_differs": (
        "error",
        "an endpoint that is of another type in the locked model than in the configuration",
    ),
    "locked_input_missing": (
        "error",
        "a column that the locked model takes and the subjects table has not",
    ),
    "locked_input_differs": (
        "error",
        "an input that means something else in the locked model: words or numbers, levels, what counts as altered",
    ),
    "locked_input_ambiguous": (
        "error",
        "an input of the locked model with results of several assays, none of them the model's",
    ),
    "locked_unit_differs": (
        "error",
        "an input in another unit than the locked model takes, and no conversion",
    ),
    # warnings
    "pfs_after_os": ("warning", "progression-free survival longer than overall survival"),
    "censored_at_event": (
        "warning",
        "death or progression recorded with an endpoint censored at that time (reversed coding?)",
    ),
    "sample_outside_window": ("warning", "a sample outside the window of its visit"),
    "on_treatment_after_progression": (
        "warning",
        "a sample labelled on-treatment that was taken after progression",
    ),
    "value_turned_into_date": (
        "warning",
        "a gene symbol or score that a spreadsheet turned into a date",
    ),
    "id_matches_loosely": (
        "warning",
        "an identifier that matches after trimming or case-folding only",
    ),
    "value_thousandfold_off": ("warning", "a value a thousandfold off its biomarker (unit?)"),
    "pair_without_shared_alteration": (
        "warning",
        "two samples of one subject without a shared truncal alteration (swap?)",
    ),
    "batch_confounded_with_arm": ("warning", "a batch whose samples are nearly all of one arm"),
    "column_looks_identifying": ("warning", "a column that looks like a person's identifiers"),
    "confirmatory_not_predictive": (
        "warning",
        "a confirmatory biomarker whose hypothesis is not about benefit: it widens the family of the interaction tests",
    ),
    "long_right_tail": (
        "warning",
        "a continuous biomarker with a long right tail and no transform",
    ),
    "biomarker_not_in_dictionary": ("warning", "a biomarker without a row in the dictionary given"),
    "arm_not_listed": ("warning", "an arm in none of the lists of study.arms: set aside"),
    "visit_not_mapped": ("warning", "a visit that belongs to no analysis timepoint"),
    "value_with_status": ("warning", "a value beside a status that says there is none: not used"),
    "vaf_scale_suspect": ("warning", "allele fractions in percent none of which exceeds 1"),
    "numbers_and_words": ("warning", "a column of numbers with a few words: kept as words"),
    "value_not_transformable": (
        "warning",
        "a value for which the biomarker's transform is not defined",
    ),
    "no_positive_value": ("warning", "an endpoint or biomarker whose positive values never occur"),
    "response_not_dated": ("warning", "a responder without an assessment that dates the response"),
    "stratum_missing": ("warning", "a subject without a value of a stratum: a stratum of its own"),
    "subject_without_outcome": ("warning", "a subject without a row for a configured endpoint"),
    "calls_set_aside": (
        "warning",
        "germline and clonal-haematopoiesis calls, set aside and counted",
    ),
    "significance_missing": (
        "warning",
        "calls without a significance where `alterations_count` lists which count: they count",
    ),
    "words_taken_as_negative": (
        "warning",
        "a binary biomarker with several words beside its positive ones: all count as negative",
    ),
    "signature_genes_missing": ("warning", "genes of a signature that are not measured: counted"),
    "copy_number_contradicts_kind": (
        "warning",
        "an amplification with less than two copies, or a deletion with two or more",
    ),
    "locked_input_unmeasured": (
        "warning",
        "an input of the locked model that no subject has a result of: imputed for all",
    ),
    "locked_assay_differs": (
        "warning",
        "an input measured by another assay than the locked model was trained on",
    ),
    "locked_model_simulated": (
        "warning",
        "a locked model made from simulated data, on subjects that are real",
    ),
    "words_without_order": (
        "warning",
        "a biomarker of more than two words whose order nothing says: not analysed",
    ),
}
