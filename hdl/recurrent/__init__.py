"""Recurrent layers and the LSTM cell."""
