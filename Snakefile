# The front door: bare `snakemake` finds this file, the workflow lives in workflow/.
include: "workflow/Snakefile"


rule everything:
    default_target: True
    input:
        rules.all.input,
    message:
        "Everything that was asked for is there"
