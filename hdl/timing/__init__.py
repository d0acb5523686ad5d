"""The exact model of cycles, frame by frame, under stalls."""
