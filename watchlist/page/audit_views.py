"""A view that shows how recorded bars differ from the bars that a source publishes."""

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from feeds.errors import StoreUnavailable
from feeds.source_names import SOURCE_NAMES
from feeds.store.audit_reports import AuditReport, read_reports
from watchlist.prices.quotes import redis_client


@never_cache
@require_safe
def show_audit(request: HttpRequest) -> HttpResponse:
    """Shows the newest audit report of each source. With `?format=json`, answers with the reports as JSON.

    If Redis is unreachable, the answer has the status 503 and no reports.
    """
    reports: list[AuditReport] = []
    is_available = True
    try:
        reports = read_reports(redis_client(), SOURCE_NAMES)
    except StoreUnavailable:
        is_available = False
    status = 200 if is_available else 503
    if request.GET.get("format") == "json":
        return HttpResponse(msgspec.json.encode(reports), content_type="application/json", status=status)
    context = {"reports": reports, "is_available": is_available}
    return render(request, "watchlist/audit.html", context, status=status)
