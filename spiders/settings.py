"""The crawl policy: every choice of the crawler, one commented line each.

Scrapy's defaults suit a crawl of one's own site. This crawl visits strangers, so what is not
chosen here is chosen by them: how much they send, how long they take, where they point us.
"""

import os
from pathlib import Path
from typing import Any

BOT_NAME = "DigitalCouncils"
SPIDER_MODULES = ["spiders.council_site"]  # the others are no spiders; no crawl needs them all

# Who we are. A site's officer must be able to find us: the operator sets an address of their own.
CONTACT = os.environ.get(
    "DIGITAL_COUNCILS_CONTACT", "https://digital-councils.example/about-the-crawler"
)
USER_AGENT = f"DigitalCouncils/0.1 (+{CONTACT})"
ROBOTSTXT_USER_AGENT = "DigitalCouncils"  # the product token that robots.txt files may name
DEFAULT_REQUEST_HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.1",
    "Accept-Language": "en-GB,en;q=0.9,cy;q=0.5,gd;q=0.5",
}

# Budgets of one council: one bad site must not starve the rest.
COUNCIL_PAGES = 25
COUNCIL_DEPTH = 3  # links followed from the home page
COUNCIL_BYTES = 50_000_000  # decoded
COUNCIL_SECONDS = 900
COUNCIL_SHORT_LINKS = 10  # requests for the Location of a short link, beside the pages
COUNCIL_REFUSALS = 5  # circuit breaker: so many refusals in a row end the visit
COUNCIL_REQUESTS = 100  # of every kind: robots.txt, sitemaps, short links, redirects, retries too
COUNCIL_STORM = 5  # 403 or 429 in a row is a no to us, not to a page: no more requests that day
TURNED_AWAY_FILE: Path | None = None  # sites that said so (gate.py); run.py puts it beside crawls
LINKS_PER_PAGE = 5_000  # looked at by the frontier; observations have their own limit
FRONTIER_LINKS = 1_000  # waiting at a time
SITEMAP_LINKS = 20_000  # read from one sitemap

# When. Hours of UK time in which sites may be asked, such as "20:00-06:00"; None for the whole day.
# Outside them the crawl ends unfinished, and --resume goes on with it.
CRAWL_HOURS: str | None = os.environ.get("DIGITAL_COUNCILS_CRAWL_HOURS")

# Pace. Every site has its own slot with one request at a time, so all may be visited at once.
CONCURRENT_REQUESTS = 400  # sites at once; more wait their turn in waves of this size
CONCURRENT_REQUESTS_PER_DOMAIN = 1
DOWNLOAD_DELAY = 1.0  # seconds from an answer to the next question
DOWNLOAD_DELAY_JITTER = 0  # jitter would go below the delay that we promise
CRAWL_DELAY_LIMIT = 30  # seconds; a site that wants more is asked for its home page alone
CONCURRENT_ITEMS = 1  # a callback gives one request, a hundred tasks each would be waste
WARN_ON_GENERATOR_RETURN_VALUE = False  # mypy tells; this would look at each answer
ENGINES: int | None = None  # processes that visit sites side by side; by default one for each core
ENGINE_DOMAINS: frozenset[str] | None = None  # what one of them may ask (engines.py); None for all
READERS: int | None = None  # that read for a lone engine; by default every core but its own
PROCESSES_FROM_SITES = 100  # below, one process does it all: another takes long to start
PROGRESS_TO: Any = None  # what is called with the counts of an engine (monitor.py), else a bar
SCHEDULER = "spiders.light.Scheduler"  # one request a site: no sorting, and none comes twice

# Robots. Our own reading of RFC 9309, in guard.RobotsGuard; Scrapy's stays off.
ROBOTSTXT_OBEY = False
ROBOTS_MAX_BYTES = 512_000
ROBOTS_HOURS = 24

# What a stranger may send.
DOWNLOAD_MAXSIZE = 10_000_000  # on the wire and decoded, each
DOWNLOAD_WARNSIZE = 0
DOWNLOAD_TIMEOUT = 30  # seconds for a whole response, not between bytes
DOWNLOAD_FAIL_ON_DATALOSS = False  # a truncated page is named so, and what came is read
DNS_TIMEOUT = 10
DNS_CACHE_SECONDS = 300  # a name that changes its answer is checked again, at each connection
DNS_THREADS = 32  # a resolver that hangs holds one of these
LARGE_BODY_BYTES = 256_000  # nearly all pages are smaller
LARGE_BODIES = 2  # larger ones at a time: 400 sites together must not fill the memory
HEADER_LINE_BYTES = 16_384
HEADER_LINES = 128
CONTENT_ENCODINGS = 2  # nested deeper is a bomb, not a page
URLLENGTH_LIMIT = 2_000
REDIRECT_MAX_TIMES = 5
METAREFRESH_ENABLED = False  # the spider follows it by the rules for redirects
DOWNLOAD_VERIFY_CERTIFICATES = True

# Where we may connect: public addresses, and these ("127.0.0.1:8080" or "127.0.0.0/8").
ALLOW_ADDRESSES: list[str] = []
ADDRESS_RESOLVER = "aiohttp.resolver.ThreadedResolver"
FORWARD_PROXY: str | None = None  # http://host:port through which every request goes
HTTPPROXY_ENABLED = True

# Trying again: seldom, and later.
RETRY_TIMES = 2
RETRY_HTTP_CODES = [408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524]
RETRY_BACKOFF = 5.0  # seconds before the first retry, doubled for each, with jitter on top
RETRY_AFTER_LIMIT = 120  # seconds; a site that asks for more is left alone in this crawl

# Pages that are empty without scripts (render.py): only if RENDER is set, with the extra `render`.
RENDER = False
RENDER_CHROMIUM: str | None = os.environ.get("DIGITAL_COUNCILS_CHROMIUM")  # else that on the PATH
RENDER_SANDBOX = True  # strangers' scripts; without it a hole in Chromium is a hole in the machine
RENDER_AT_ONCE = 2  # pages of different sites, each in a browser of its own of some 600 MB
RENDER_SECONDS = 90  # for one page, with the site's delay between all that it asks for
RENDER_QUIET = 1.0  # seconds in which nothing may change or be asked for before a page is read
RENDER_REQUESTS = 40  # of one page; they count in COUNCIL_REQUESTS, too
RENDER_BYTES = 20_000_000  # decoded, of one page; they count in COUNCIL_BYTES, too
RENDER_MEMORY = 600_000_000  # resident, of each of the browser's processes

# Capture and replay (warc.py); the policy is that everything is kept and nothing goes stale.
WARC_CAPTURE: str | None = None
WARC_REPLAY: str | None = None
HTTPCACHE_ENABLED = False
HTTPCACHE_POLICY = "scrapy.extensions.httpcache.DummyPolicy"
HTTPCACHE_STORAGE = "spiders.warc.WarcStorage"

# Doors that stay shut.
COOKIES_ENABLED = False
REFERER_ENABLED = False
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False  # a code-execution server on loopback, on by default
HTTPERROR_ALLOW_ALL = True  # the spider names what an answer of any status means

# The engine: asyncio and aiohttp, which is faster and limits headers; http and https only.
TWISTED_REACTOR_ENABLED = False
DOWNLOAD_HANDLERS: dict[str, Any] = {
    "http": "spiders.guard.GuardedDownloadHandler",
    "https": "spiders.guard.GuardedDownloadHandler",
    "data": None,
    "file": None,
    "ftp": None,
    "s3": None,
}
SPIDER_MIDDLEWARES: dict[str, int | None] = {
    "scrapy.spidermiddlewares.referer.RefererMiddleware": None,
    "scrapy.spidermiddlewares.urllength.UrlLengthMiddleware": None,  # the frontier refuses by name
    "scrapy.spidermiddlewares.depth.DepthMiddleware": None,  # the frontier counts
    "scrapy.spidermiddlewares.httperror.HttpErrorMiddleware": None,
    "scrapy.spidermiddlewares.metacopy.MetaCopyDetectionMiddleware": None,
    "scrapy.spidermiddlewares.start.StartSpiderMiddleware": None,
}
DOWNLOADER_MIDDLEWARES: dict[str, int | None] = {
    "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,  # SiteRedirects knows the site
    "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
    "scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware": None,
    "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
    "scrapy.downloadermiddlewares.redirect.MetaRefreshMiddleware": None,
    "scrapy.downloadermiddlewares.redirect.RedirectMiddleware": None,
    "scrapy.downloadermiddlewares.httpcompression.HttpCompressionMiddleware": None,
    "scrapy.downloadermiddlewares.cookies.CookiesMiddleware": None,
    "scrapy.downloadermiddlewares.httpcache.HttpCacheMiddleware": None,
    "spiders.guard.AddressGuard": 50,
    "spiders.guard.RobotsGuard": 100,
    "spiders.guard.PatientRetries": 550,
    "spiders.guard.SiteRedirects": 600,
    "spiders.guard.BoundedDecoding": 590,
    "spiders.memory.Revisits": 610,  # nearer to the network than redirects: each hop has its own
    "spiders.gate.Gate": 620,
    "spiders.warc.WarcCache": 900,
    "spiders.render.Rendering": 950,  # behind the cache: a replay takes what was captured
}
EXTENSIONS: dict[str, int | None] = {
    "scrapy.extensions.telnet.TelnetConsole": None,
    "scrapy.extensions.remote_control.RemoteControl": None,
    "scrapy.extensions.feedexport.FeedExporter": None,
    "scrapy.extensions.logstats.LogStats": None,
    "scrapy.extensions.memdebug.MemoryDebugger": None,
    "scrapy.extensions.spiderstate.SpiderState": None,
    "scrapy.extensions.throttle.AutoThrottle": None,
    "spiders.monitor.Monitor": 500,
}

LOG_LEVEL = "INFO"
LOG_VERSIONS: list[str] = []
STATS_CLASS = "spiders.light.Stats"  # a dozen counts for each page, without a look at each
STATS_DUMP = False  # run.json carries the counts
DOWNLOADER_STATS = False  # it takes every request and answer apart to count their headers' bytes
