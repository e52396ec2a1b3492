# Why each job runs, in the user's words: what Snakemake logs is put into other words before it is shown.
import contextlib
import logging

from snakemake.logging import logger

from correlatives.reruns import changes, listed

# What Snakemake adds to a dry run, about switching off what decides here which jobs run.
NOT_SHOWN = ("Reasons:\n", "Some jobs were triggered by", "Rules with provenance")
CODE_FOLDERS = tuple(
    f"{folder}{os.sep}" for folder in (HOUSE / "scripts", shown(HOUSE / "scripts"))
)


def why(dag, job):
    """Why a job runs, as one line."""
    reason = dag.reason(job)
    phrases = []
    if reason.forced:
        # Snakemake forces what was interrupted too.
        asked = workflow.dag_settings
        phrases.append(
            "it was asked for, whatever its results are"
            if asked.forceall or asked.forcetargets or asked.forcerun
            else "it was interrupted the last time"
        )
    missing = list(map(shown, reason._missing_output or ()))
    if missing and not any(map(os.path.exists, job.output)):
        phrases.append("its results are not there yet")
    elif missing:
        phrases.append(f"of its results there is no {listed(sorted(missing), 3)}")
    if reason._incomplete_output:
        phrases.append("it was interrupted the last time")
    if reason.params_changed:
        changed = reason.params_changed
        now = {repr(value): name for name, value in job.params.items()}
        phrases.append(
            listed(
                changes(
                    changed.only_old,
                    {text: now.get(text, "a setting") for text in changed.only_new},
                )
            )
        )
    elif reason.input_changed:
        phrases.append("it reads other files than the last time")
    if reason.software_stack_changed:
        phrases.append("its software environment changed")
    updated = set(reason._updated_input or ()) - set(reason._updated_input_run or ())
    if updated:
        phrases.append(f"{listed(sorted(map(shown, updated)), 3)} changed")
    if reason._updated_input_run and not missing:
        phrases.append(upstream(dag, job, reason._updated_input_run))
    return "; ".join(phrases) or "it always runs"


def doing(job):
    """What a job does, in quotes. Formatted here: Snakemake would work out the job's parameters and resources for it."""
    message = job.rule.message or job.rule.name
    return f'"{message.format(wildcards=job.wildcards)}"'


def upstream(dag, job, files):
    """Which jobs before this one make it run."""
    makers = {
        dependency
        for dependency, made in dag.dependencies[job].items()
        if set(made) & set(files)
    }
    # Behind a checkpoint Snakemake looks at contents anew, also of what was made before it.
    gates = {maker for maker in makers if maker.is_checkpoint}
    before = {maker for gate in gates for maker in dag.dependencies[gate]}
    sure = sorted(map(doing, makers - gates - before))
    if sure or not makers:
        write = "will write" if workflow.dryrun else "wrote"
        return f"it reads what {listed(sure, 2) or 'a job before it'} {write}"
    # Only the cohort is admitted anew: Snakemake looks at its content before it runs the job.
    return "the cohort is admitted anew: it runs only if a part that it reads comes out different"


class UsersWords(logging.Filter):
    """Put reasons into the user's words; take the code out of the list of a failed job's inputs."""

    def filter(self, record):
        if str(record.msg).startswith(NOT_SHOWN):
            return False
        dag, number = workflow.dag, getattr(record, "jobid", None)
        if hasattr(record, "reason") and dag is not None:
            # Words must not stop a run: where Snakemake has changed within, its own stay.
            with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
                for job in dag.jobs:
                    if dag.jobid(job) == number:
                        record.reason = why(dag, job)
        if hasattr(record, "input"):
            record.input = [
                file for file in record.input if not str(file).startswith(CODE_FOLDERS)
            ]
        return True


logger.addFilter(UsersWords())
