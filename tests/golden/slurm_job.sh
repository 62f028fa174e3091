#!/bin/bash
#SBATCH --job-name=alspec-night-0a1b2c3d
#SBATCH --array=1-8
#SBATCH --chdir="/data/night drive"
#SBATCH --output="/shared/100%% work/logs/slurm-%A_%a.txt"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@180
#SBATCH --partition=gpu
#SBATCH --account=vision
#SBATCH --time=4:00:00
#SBATCH --gres=gpu:a100:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --constraint=nvlink
# A pilot: does steps of the study until none is left, and is queued again before its time is up.
heard= again= pilot=
pass_on() { heard=$1; [ -z "$pilot" ] || kill -s "$1" "$pilot"; }
trap 'again=yes; pass_on USR1' USR1
trap 'pass_on TERM' TERM
module load cuda
ALSPEC_SUBMISSION=5e6f /opt/alspec/bin/python -I -m alspec run '/data/night drive/study.yaml' --executor local --work-dir /shared/work_dirs --devices 'cuda:0*3' --idle 15m --set training.epochs=2 --trust-config &
pilot=$!
[ -z "$heard" ] || kill -s "$heard" "$pilot"  # it came before the pilot had a number
wait "$pilot"; code=$?
while [ -n "$heard" ]; do  # a signal ends `wait` before the pilot has ended
    heard=
    wait "$pilot"; code=$?
done
early=$((128 + $(kill -l USR1)))  # the pilot was not yet, or no longer, there to heed it
if [ -n "$again" ] && { [ "$code" -eq 75 ] || [ "$code" -eq "$early" ]; }; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
