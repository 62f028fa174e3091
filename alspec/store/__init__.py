"""Every path below the work directory: steps, leases, retention, drafts, study folders."""
