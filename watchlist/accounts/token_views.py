"""Views of the page on which a person creates and revokes personal tokens."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from watchlist.accounts.tokens import READ, SCOPES, create_token, revoke_token
from watchlist.errors import TooManyTokens
from watchlist.models import ApiToken

MAX_KEY_DIGITS = 18
"""The maximum number of digits of a token's key. A longer number does not fit into the database."""


class TokenForm(forms.Form):
    """Asks for the name and the scopes of a new token."""

    name = forms.CharField(label="Name", max_length=60, help_text="What you use the token for.")
    scopes = forms.MultipleChoiceField(
        label="What a program may do with the token",
        choices=list(SCOPES.items()),
        initial=[READ],
        widget=forms.CheckboxSelectMultiple,
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError("A name cannot contain invisible characters.")
        return name


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def show_tokens(request: HttpRequest) -> HttpResponse:
    """Shows the tokens of the account and the form for a new one. A POST request creates a token and shows it once."""
    form = TokenForm(request.POST if request.method == "POST" else None)
    created = _create(request, form) if form.is_valid() else None
    if created is not None:
        form = TokenForm()
    status = 422 if form.errors else 200
    return render(request, "watchlist/tokens.html", _describe(request, form, created), status=status)


@never_cache
@login_required
@require_POST
def revoke(request: HttpRequest) -> HttpResponse:
    """Revokes the token whose key is in the form field `token`."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    key = request.POST.get("token", "")
    is_key = key.isascii() and key.isdecimal() and len(key) <= MAX_KEY_DIGITS
    name = revoke_token(request.user, int(key), timezone.now()) if is_key else None
    if name is None:
        messages.error(request, "This token was revoked already.")
    else:
        messages.success(request, f"The token “{name}” was revoked. Programs that used it are refused from now on.")
    return redirect("tokens")


def _create(request: HttpRequest, form: TokenForm) -> str | None:
    """Creates a token. If the token is refused, puts the reason into the form and returns None."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    try:
        return create_token(request.user, form.cleaned_data["name"], form.cleaned_data["scopes"], timezone.now())
    except TooManyTokens as error:
        form.add_error(None, str(error))
        return None


def _describe(request: HttpRequest, form: TokenForm, created: str | None) -> dict[str, Any]:
    tokens = [
        {"token": token, "scopes": [SCOPES.get(scope, scope) for scope in token.scope_names]}
        for token in ApiToken.objects.filter(owner_id=request.user.pk)
    ]
    return {"form": form, "created": created, "tokens": tokens}
