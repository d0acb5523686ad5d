"""Operations, memory, energy and area, before anything is built."""
