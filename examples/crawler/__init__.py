"""The site crawler of worker.py."""

# Where things are.
#
#   options.py     the command line
#   crawl.py       WORKFLOW  the package "crawl": render, robots, fetch, parse
#   reporting.py   WORKFLOW  the package "report": index, report
#   site.py        the Python documentation as a site of this process; render.py makes its pages
#   addresses.py   which URLs are the same, and which belong to the site
#   pages.py       one request, and what its answer means: a page, "later" or "never"
#   parsing.py     a page's bytes as title, links and words
#   sitemap.py     pages, links and words in a projection: the only place with SQL
#   report.py      the report as a value;  screen.py, web.py and picture.py show it
#   progress.py    what one sees meanwhile;  stopping.py: signals
