"""Where tasks run: threads, processes of this machine, or a Dask cluster. The scheduler sees no difference."""
