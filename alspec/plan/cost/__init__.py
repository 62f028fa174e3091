"""What a plan costs: workload, order, time, disk, retained weights."""
