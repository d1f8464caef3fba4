"""Pictures in the file of a workbook, written from memory: XlsxWriter takes three files on the disk for each."""

from typing import Any, BinaryIO
from zipfile import ZipFile, ZipInfo

import xlsxwriter
from xlsxwriter.packager import Packager

_EXCELS_DATE = (1980, 1, 1, 0, 0, 0)


class _WithoutPictures(Packager):  # type: ignore[misc]  # it has no types
    def _add_image_files(self) -> None:
        """Leave the pictures to `add_pictures`."""


class Book(xlsxwriter.Workbook):  # type: ignore[misc]  # it has no types
    """A workbook whose pictures are added once it is closed."""

    def _get_packager(self) -> Any:
        return _WithoutPictures()


def add_pictures(book: Book, file: BinaryIO) -> None:
    """Add the pictures of a closed workbook to its file, under the names that its other parts give them."""
    with ZipFile(file, "a") as archive:
        for number, image in enumerate((*book.embedded_images.images, *book.images), start=1):
            name = f"xl/media/image{number}.{image.image_type.lower()}"
            archive.writestr(ZipInfo(name, _EXCELS_DATE), image.image_data.getvalue())
