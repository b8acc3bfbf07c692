"""From scores to versions of songs: as HPCP without sound, or as sound."""
