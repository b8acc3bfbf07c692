"""Waveform to harmonic pitch class profiles (HPCP)."""
