"""The report as a web page."""

from crawler.report import Report


def web_page(report: Report, picture: str) -> str:
    return "<!doctype html>" + picture
