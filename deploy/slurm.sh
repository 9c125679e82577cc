#!/bin/bash
# A sweep on whole nodes of a Slurm cluster: sbatch deploy/slurm.sh SPEC OUT. Requeued or submitted again, it goes on.
#SBATCH --job-name=shockmesh
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail
spec=$(realpath "$1") out=$2

token=$HOME/.ray/shockmesh-$SLURM_JOB_ID.token
mkdir -p "$(dirname "$token")"
(umask 077 && python3 -c 'import secrets; print(secrets.token_hex(32), end="")' > "$token")
trap 'rm -f "$token"' EXIT
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$token RAY_USAGE_STATS_ENABLED=0
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-$HOME/.cache/shockmesh-jax}

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | cut -d' ' -f1)
port=$((20000 + SLURM_JOB_ID % 20000))

srun ray symmetric-run --address "$address:$port" --min-nodes "$SLURM_NNODES" --num-gpus 8 -- \
    shockmesh run "$spec" --out "$out" --continue --address auto
