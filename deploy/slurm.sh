#!/bin/bash
# An array of agents, one GPU each: sbatch deploy/slurm.sh. Work was queued by `restar bulk --queue`.
#SBATCH --job-name=restar
#SBATCH --array=0-7
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@90
#SBATCH --output=restar-%A_%a.log
set -euo pipefail
set -a
source /etc/restar.env
set +a
export RESTAR_HOME="${SLURM_TMPDIR:-/tmp}/restar-$SLURM_JOB_ID"   # the cache of the store; node-local
exec srun /opt/restar/.venv/bin/restar agent --gpu 0 --idle 900 --grace 60
