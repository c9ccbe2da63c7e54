"""A route's `files` and `fallback` to what its handler goes by."""

from proxy.files.plan import FilesPlan
from proxy.settings.models import Route


def files_plan(route: Route) -> FilesPlan | None:
    """Return the plan for a route, or None where it serves no files."""
    files = route.files
    if files is None:
        return None
    return FilesPlan(
        root=files.root,
        prefix=route.files_prefix,
        exact=route.path is not None and not route.path.endswith("/"),
        index=files.index,
        fallback=route.fallback or "",
        symlinks=files.symlinks,
        dotfiles=files.dotfiles,
        precompressed=files.precompressed,
    )
