"""What a route serves from a folder: made when the configuration is loaded."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FilesPlan:
    """A folder, or one file, and how it is served.

    Attributes:
        root: Absolute path of the folder, or of a file.
        prefix: What of a request's path stands for the root, with the slash behind it: "/static/"
            for that prefix, "/" for an exact "/robots.txt" and for a regular expression.
        exact: True where the route serves one path alone. The root may be a file then; and where
            the path is a folder's, its index file is served without a slash behind the path.
        index: Names of the file that answers for a folder, the first that is there; () for none.
        fallback: Path beneath the root of the file that answers for every path where there is
            nothing, with status 200; "" for none.
        symlinks: True to follow symbolic links wherever they lead; else those alone that lead to
            what is beneath the root.
        dotfiles: True to serve what has a name that begins with a dot.
        precompressed: True to serve `name.br`, `name.zst` and `name.gz` in place of `name`.
    """

    root: str
    prefix: str = "/"
    exact: bool = False
    index: tuple[str, ...] = ("index.html",)
    fallback: str = ""
    symlinks: bool = False
    dotfiles: bool = False
    precompressed: bool = True
