"""What is in a file, by its name: a table that is the same on every machine.

Python's own table, as it comes with Python and without what the machine's /etc/mime.types says,
and over it all that the Web uses, so that Python's version makes no difference there either. A
compressed file is what it is, `application/gzip`, never its content in a coding.
"""

import mimetypes

DEFAULT = "application/octet-stream"

_WEB = {
    "text/html": "html htm shtml",
    "text/css": "css",
    "text/javascript": "js mjs cjs",  # RFC 9239
    "text/plain": "txt text log ini conf asc",
    "text/markdown": "md markdown",  # RFC 7763
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/calendar": "ics",
    "text/vcard": "vcf vcard",
    "text/vtt": "vtt",
    "text/x-component": "htc",
    "application/json": "json map",
    "application/ld+json": "jsonld",
    "application/geo+json": "geojson",
    "application/manifest+json": "webmanifest",
    "application/xml": "xml xsl xsd",
    "application/xhtml+xml": "xhtml xht",
    "application/rss+xml": "rss",
    "application/atom+xml": "atom",
    "application/xslt+xml": "xslt",
    "application/mathml+xml": "mathml",
    "application/gpx+xml": "gpx",
    "application/vnd.google-earth.kml+xml": "kml",
    "application/vnd.google-earth.kmz": "kmz",
    "application/wasm": "wasm",
    "application/yaml": "yaml yml",  # RFC 9512
    "application/toml": "toml",
    "application/pdf": "pdf",
    "application/rtf": "rtf",
    "application/epub+zip": "epub",
    "application/zip": "zip",
    "application/gzip": "gz tgz svgz",
    "application/zstd": "zst tzst",
    "application/x-brotli": "br",
    "application/x-bzip2": "bz2 tbz2",
    "application/x-xz": "xz txz",
    "application/x-7z-compressed": "7z",
    "application/vnd.rar": "rar",
    "application/x-tar": "tar",
    "application/java-archive": "jar war ear",
    "application/vnd.android.package-archive": "apk",
    "application/x-apple-diskimage": "dmg",
    "application/vnd.debian.binary-package": "deb",
    "application/x-rpm": "rpm",
    "application/x-iso9660-image": "iso",
    "application/vnd.ms-fontobject": "eot",
    "application/vnd.mozilla.xul+xml": "xul",
    "application/x-x509-ca-cert": "crt der pem",
    "application/x-xpinstall": "xpi",
    "application/msword": "doc dot",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/vnd.apple.mpegurl": "m3u8",
    "application/dash+xml": "mpd",
    "application/octet-stream": "bin exe dll msi img",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "font/ttf": "ttf",
    "font/otf": "otf",
    "font/collection": "ttc",
    "image/gif": "gif",
    "image/jpeg": "jpg jpeg jpe jfif",
    "image/png": "png",
    "image/apng": "apng",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/jxl": "jxl",
    "image/svg+xml": "svg",
    "image/tiff": "tif tiff",
    "image/bmp": "bmp",
    "image/x-icon": "ico",
    "audio/mpeg": "mp3 mp2 mpga",
    "audio/mp4": "m4a",
    "audio/aac": "aac",
    "audio/ogg": "oga ogg opus",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/webm": "weba",
    "audio/midi": "mid midi kar",
    "video/mp4": "mp4 m4v",
    "video/mpeg": "mpeg mpg mpe",
    "video/mp2t": "ts",
    "video/ogg": "ogv",
    "video/webm": "webm",
    "video/quicktime": "mov qt",
    "video/x-matroska": "mkv",
    "video/x-msvideo": "avi",
    "video/x-flv": "flv",
    "video/3gpp": "3gp 3gpp",
    "model/gltf+json": "gltf",
    "model/gltf-binary": "glb",
}


def _table() -> dict[str, str]:
    builtin = mimetypes.MimeTypes().types_map[True]
    table = {name.lower().removeprefix("."): kind for name, kind in builtin.items()}
    for kind, names in _WEB.items():
        table.update(dict.fromkeys(names.split(), kind))
    return {
        name: f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
        for name, kind in table.items()
    }


_TYPES = _table()


def content_type(name: str) -> str:
    """Return the value of Content-Type for a file of that name.

    Args:
        name: Of the file, with or without the folders before it.
    """
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    if not dot or not stem:  # ".json" is a hidden file without an extension
        return DEFAULT
    return _TYPES.get(extension.lower(), DEFAULT)
