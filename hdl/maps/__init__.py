"""Feature maps: sliding windows, pools, and how deep their line buffers are."""
