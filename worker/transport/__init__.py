"""From the list to a thread and to the ack: fetch, credit, dispatch, unacked."""
