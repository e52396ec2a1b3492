"""A small sound study, written to a folder; tests change one thing of it."""

from __future__ import annotations

from pathlib import Path

from correlatives.tables.config import check
from correlatives.tables.load import load_study

#: Twelve subjects, six an arm.
SUBJECTS = [f"{i:04d}" for i in range(1, 13)]


def tables() -> dict[str, str]:
    """Return file name -> text of the sound study."""
    arm = ["T-DM1" if i % 2 else "combination" for i in range(12)]
    subjects = [
        "subject_id,arm,age,ecog,hr_status,site,anc_per_ul,randomisation_date,first_dose_day"
    ]
    outcomes = ["subject_id,endpoint,time,event,reason"]
    responses = ["subject_id,best_overall_response,best_change_pct,confirmed,pCR"]
    samples = ["sample_id,subject_id,specimen,timepoint,day,site_of_tissue"]
    runs = ["run_id,sample_id,assay,version,batch,qc,tumour_fraction"]
    blood = ["sample_id,biomarker,value,unit,assay,replicate,status"]
    calls = ["run_id,gene,alteration,kind,result,significance,vaf"]
    doses = ["subject_id,drug,start_day,stop_day,dose_mg,reason_off"]
    seen = ["subject_id,day,sum_mm,new_lesion,response"]
    rna = ["sample_id,ESR1,ERBB2,SUBTYPE"]
    for i, subject in enumerate(SUBJECTS):
        months = 3 + i
        subjects.append(
            f"{subject},{arm[i]},{50 + i},{i % 3},{'pos' if i % 2 else 'neg'},site {i % 2},"
            f"{2000 + 100 * i},2021-03-{i + 1:02d},0"
        )
        outcomes.append(f"{subject},PFS,{months},1,progression")
        outcomes.append(f"{subject},OS,{months + 6},{i % 2},{'death' if i % 2 else 'end_of_study'}")
        best = ["CR", "PR", "SD", "PD"][i % 4]
        responses.append(f"{subject},{best},{-60 + 10 * i},yes,{'YN'[i % 2]}")
        for k, (visit, day) in enumerate((("baseline", -3), ("C1D15", 15))):
            sample = f"P{subject}-{k}"
            samples.append(f"{sample},{subject},plasma,{visit},{day},")
            runs.append(f"R{subject}-{k},{sample},panel,v1,B{i % 3},pass,0.{i + 10}")
            blood.append(f"{sample},TK1,{100 + 7 * i + k},U/L,TK1 activity,,")
            blood.append(f"{sample},HER2 ECD,{'<4' if i == 3 else 10 + i},ng/mL,ELISA,,")
            blood.append(f"{sample},score,{i % 3 + 1}+,,IHC,,")
            calls.append(f"R{subject}-{k},PIK3CA,p.H1047R,snv,detected,pathogenic,{i + 1}.5")
        tissue = f"T{subject}"
        samples.append(f"{tissue},{subject},archival_tissue,archive,-20,metastasis")
        rna.append(f"{tissue},{5 + 0.1 * i},{9 + 0.2 * i},{'LumA' if i % 2 else 'HER2E'}")
        doses.append(f"{subject},palbociclib,5,18,125,")
        seen.append(f"{subject},42,{30 + i},no,SD")
    return {
        "subjects.csv": "\n".join(subjects) + "\n",
        "outcomes.csv": "\n".join(outcomes) + "\n",
        "responses.csv": "\n".join(responses) + "\n",
        "samples.csv": "\n".join(samples) + "\n",
        "runs.csv": "\n".join(runs) + "\n",
        "blood.csv": "\n".join(blood) + "\n",
        "alterations.csv": "\n".join(calls) + "\n",
        "doses.csv": "\n".join(doses) + "\n",
        "assessments.csv": "\n".join(seen) + "\n",
        "rna.csv": "\n".join(rna) + "\n",
        "biomarkers.csv": (
            "biomarker,specimen,assay,kind,levels,positive,transform,unit,lloq,uloq,conversion\n"
            "TK1,plasma,,continuous,,,log2,U/L,20,1000,\n"
            "HER2 ECD,plasma,,continuous,,,none,ng/mL,4,,pg/mL*0.001\n"
            "score,plasma,,ordinal,1+<2+<3+,,,,,,\n"
            "ESR1,archival_tissue,,continuous,,,none,,,,\n"
            "ERBB2,archival_tissue,,continuous,,,none,,,,\n"
            "SUBTYPE,archival_tissue,,binary,,HER2E,,,,,\n"
        ),
        "coverage.csv": "assay,gene,kind,version,variants,lod_vaf\npanel,PIK3CA,snv,,,0.005\n",
        "pathways.csv": "gene,kind,pathway,direction\nPIK3CA,snv,PI3K,up\n",
        "identifiers.csv": "alias,sample_id,subject_id\nA-1,P0001-0,\n",
        "corrections.csv": (
            "table,key,field,old,new,reason,by,date\n"
            "outcomes,subject_id=0001;endpoint=OS,time,9,9.5,query 12,JS,2022-01-05\n"
        ),
    }


def configuration() -> dict:
    """Return the study's configuration as a person writes it."""
    return {
        "study": {
            "id": "SOUND",
            "design": "randomised",
            "arms": {"control": ["T-DM1"], "experimental": ["combination"]},
            "strata": ["hr_status"],
        },
        "tables": {
            "subjects": {"path": "subjects.csv"},
            "outcomes": {"path": "outcomes.csv"},
            "responses": {"path": "responses.csv"},
            "samples": {"path": "samples.csv"},
            "runs": {"path": "runs.csv"},
            "measurements": [
                {"path": "blood.csv"},
                {"path": "rna.csv", "layout": "wide", "key": "sample_id"},
            ],
            "alterations": {"path": "alterations.csv", "vaf_scale": "percent"},
            "coverage": {"path": "coverage.csv"},
            "biomarkers": {"path": "biomarkers.csv"},
            "pathways": {"path": "pathways.csv"},
            "doses": {"path": "doses.csv"},
            "assessments": {"path": "assessments.csv"},
            "identifiers": {"path": "identifiers.csv"},
            "corrections": {"path": "corrections.csv"},
        },
        "endpoints": {
            "PFS": {"type": "time_to_event"},
            "OS": {"type": "time_to_event"},
            "ORR": {"type": "response", "responders": ["CR", "PR"]},
        },
        "nonresults": {"QNS": "qns", "Test Failure": "failed"},
    }


class Sound:
    """The sound study in a folder, to be changed and read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = configuration()
        self.texts = tables()
        for name, text in self.texts.items():
            (folder / name).write_text(text, encoding="utf-8")

    def write(self, name: str, text: str | bytes) -> None:
        if isinstance(text, bytes):
            (self.folder / name).write_bytes(text)
        else:
            (self.folder / name).write_text(text, encoding="utf-8")

    def replace(self, name: str, old: str, new: str, count: int = 1) -> None:
        """Replace text of a file that is there (at least once)."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {name}"
        self.write(name, text.replace(old, new, count))

    def append(self, name: str, line: str) -> int:
        """Add a line to a file; return its number."""
        text = (self.folder / name).read_text(encoding="utf-8") + line + "\n"
        self.write(name, text)
        return text.count("\n")

    def entry(self, table: str, position: int = 0) -> dict:
        given = self.config["tables"][table]
        return given[position] if isinstance(given, list) else given

    def load(self):
        filled, lines = check(self.config)
        assert not lines, lines
        return load_study(filled, self.folder)
