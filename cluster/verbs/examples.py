"""Calls of every verb, as `--help` and the site show them; a test holds each against the parser."""

EXAMPLES = {
    "import": (
        "shockmesh import wiod2016 example world.zarr",
        "shockmesh import Eora26_2015.zip eora.zarr --licence 'as agreed with Eora'",
        "shockmesh import links links.csv firms.zarr --firms firms.csv --unit EUR --per year",
    ),
    "generate": ("shockmesh generate world.zarr world-20k.zarr --firms 20000 --seed 7",),
    "describe": ("shockmesh describe world-20k.zarr", "shockmesh describe world-20k.zarr --codes"),
    "example": ("shockmesh example", "shockmesh example world2014 demo"),
    "init": (
        "shockmesh init spec.yaml",
        "shockmesh init spec.yaml --economy world.zarr --region ITA --sector I --loss '60 %' --start 2020-03-01 "
        "--onset 2020-03-09 --recovery '6 weeks'",
    ),
    "validate": ("shockmesh validate spec.yaml", "shockmesh validate spec.yaml --set shocks.lockdown.loss='80 %'"),
    "plan": ("shockmesh plan spec.yaml", "shockmesh plan spec.yaml --set sweep.members=1000 --json"),
    "explain": ("shockmesh explain model.capacity", "shockmesh explain --schema > spec.schema.json"),
    "run": (
        "shockmesh run spec.yaml --out run",
        "shockmesh run spec.yaml --out run --address local --set horizon.days='1 year' --seed 3",
    ),
    "submit": ("shockmesh submit spec.yaml --address http://head:8265 --out s3://bucket/run",),
    "resume": ("shockmesh resume run",),
    "status": ("shockmesh status run", "shockmesh status run --json"),
    "logs": ("shockmesh logs run",),
    "verify": ("shockmesh verify run",),
    "report": ("shockmesh report run", "shockmesh report run --out lockdown.html"),
    "export": (
        "shockmesh export run losses.xlsx",
        "shockmesh export run output.nc --variable output --every month",
        "shockmesh export run firms.parquet --variable output_by_firm",
    ),
    "cite": ("shockmesh cite run > references.bib",),
    "compare": ("shockmesh compare run other-run", "shockmesh compare run@0 run@5"),
    "robustness": ("shockmesh robustness spec.yaml --out robust",),
    "risk": ("shockmesh risk run",),
    "indices": ("shockmesh indices run",),
    "finance": ("shockmesh finance run --firms cash.csv --loans loans.csv",),
    "allocate": ("shockmesh allocate spec.yaml --out plan.csv",),
    "esri": ("shockmesh esri firms.zarr", "shockmesh esri world.zarr --year 2014 --out ranking.csv"),
    "sensitivity": ("shockmesh sensitivity spec.yaml --loss value_added",),
    "prices": ("shockmesh prices tariff.yaml --out prices.csv",),
    "doctor": ("shockmesh doctor",),
    "bench": ("shockmesh bench kernels --help",),
    "completion": (
        "shockmesh completion bash > ~/.local/share/bash-completion/completions/shockmesh",
        "shockmesh completion zsh > ~/.zfunc/_shockmesh",
    ),
}
