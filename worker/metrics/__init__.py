"""What Prometheus reads: the ledger's counters and the status screen's figures, as metrics."""
