"""Views for accounts: sign-up, sign-in, settings, passwords and deletion."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_not_required, login_required
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, PasswordChangeView, PasswordResetConfirmView, PasswordResetView
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from watchlist.accounts.forms import DeleteAccountForm, EmailForm, ResetForm, SignInForm, SignUpForm
from watchlist.accounts.preferences import CHOICES, appearance_of, find_zone, make_appearance, save_appearance, zones
from watchlist.accounts.sign_in_limit import (
    clear_failures,
    confirm_password,
    limit_name_checks,
    limit_password_checks,
    reveal_name,
)
from watchlist.accounts.throttle import allow_action


@sensitive_post_parameters("password1", "password2")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@limit_name_checks
def sign_up(request: HttpRequest) -> HttpResponse:
    """Creates an account, signs the person in, and moves the visitor's lists into the account.

    Then shows the page whose address is in the field `next`, or the watchlist.
    """
    next_page = find_next_page(request, request.POST.get("next") or request.GET.get("next", ""))
    if request.user.is_authenticated:
        return HttpResponseRedirect(next_page or reverse("watchlist"))
    if not settings.REGISTRATION_OPEN:
        return render(request, "watchlist/sign_up_closed.html", status=403)
    form = SignUpForm(request.POST or None)
    if form.is_valid():
        if not allow_action(request, "sign-up", settings.REGISTRATION_PER_HOUR):
            form.add_error(None, "Too many sign-ups from your address in the last hour. Try again later.")
            return render(request, "watchlist/sign_up.html", {"form": form, "next": next_page}, status=429)
        user = form.save()
        login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
        return HttpResponseRedirect(next_page or reverse("watchlist"))
    if form.has_error("username", "unique"):
        reveal_name(request)
    return render(request, "watchlist/sign_up.html", {"form": form, "next": next_page})


def find_next_page(request: HttpRequest, address: str) -> str:
    """Returns the address if it belongs to this site; an empty text if not."""
    is_safe = url_has_allowed_host_and_scheme(
        address, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return address if is_safe else ""


class SignIn(LoginView):
    template_name = "watchlist/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


class PasswordChange(PasswordChangeView):
    template_name = "watchlist/password_change.html"
    success_url = reverse_lazy("settings")

    def form_invalid(self, form: Any) -> HttpResponse:
        if "old_password" not in form.errors:
            confirm_password(self.request)
        return super().form_invalid(form)

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password was changed.")
        return super().form_valid(form)


class PasswordReset(PasswordResetView):
    form_class = ResetForm
    template_name = "watchlist/password_reset.html"
    email_template_name = "watchlist/password_reset_mail.txt"
    subject_template_name = "watchlist/password_reset_subject.txt"
    success_url = reverse_lazy("password-reset-sent")

    def form_valid(self, form: Any) -> HttpResponse:
        # The Host header of the request may name any of ALLOWED_HOSTS, and any port. The reader is another person.
        if settings.HAS_SITE_URL:
            site = urlsplit(settings.SITE_URL)
            self.extra_email_context = {"protocol": site.scheme, "domain": site.netloc}
        if not allow_action(self.request, "reset", settings.REGISTRATION_PER_HOUR):
            form.add_error(None, "Too many e-mails were requested from your address in the last hour. Try again later.")
            return self.form_invalid(form)
        return super().form_valid(form)


class PasswordResetConfirm(PasswordResetConfirmView):
    template_name = "watchlist/password_reset_confirm.html"
    success_url = reverse_lazy("password-reset-done")

    def form_valid(self, form: Any) -> HttpResponse:
        # Another person's guesses may have blocked the name. The owner must be able to use the new password.
        clear_failures(form.user.get_username())
        return super().form_valid(form)


@never_cache
@require_safe
def show_settings(request: HttpRequest) -> HttpResponse:
    """Shows the settings of the appearance, and the settings of the account if there is one."""
    email_form = EmailForm(instance=request.user) if isinstance(request.user, User) else None
    return _render_settings(request, email_form)


@login_not_required
@never_cache
@require_POST
def change_appearance(request: HttpRequest) -> HttpResponse:
    """Changes the settings of the appearance that the form contains: theme, palette, density and time zone."""
    current = appearance_of(request)
    chosen = {name: request.POST.get(name) or getattr(current, name) for name in CHOICES}
    zone = find_zone(request.POST.get("zone") or current.zone)
    if zone is None:
        messages.error(request, "The time zone was not changed: choose one of the list, such as Europe/Berlin.")
    appearance = make_appearance({**chosen, "zone": zone or current.zone})
    next_page = find_next_page(request, request.POST.get("next", ""))
    # `redirect` would look up a text such as `%` as the name of a view.
    response = HttpResponseRedirect(next_page or reverse("settings"))
    save_appearance(request, response, appearance)
    return response


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@limit_password_checks
def change_email(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    if request.method != "POST":  # the browser reloaded the address of a refused form, or went back to it
        return redirect("settings")
    form = EmailForm(request.POST, instance=request.user)
    if not form.is_valid():
        if "password" not in form.errors:
            confirm_password(request)
        return _render_settings(request, form)
    form.save()
    done = "saved" if form.cleaned_data["email"] else "removed"
    messages.success(request, f"Your e-mail address was {done}.")
    return redirect("settings")


@sensitive_post_parameters("password")
@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@limit_password_checks
def delete_account(request: HttpRequest) -> HttpResponse:
    """Deletes the account with its lists, preferences and web sessions. The person must enter the password."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    form = DeleteAccountForm(request.user, request.POST or None)
    if not form.is_valid():
        return render(request, "watchlist/delete_account.html", {"form": form})
    pk = request.user.pk
    logout(request)
    User.objects.get(pk=pk).delete()
    delete_sessions(pk)
    messages.success(request, "Your account and all its data were deleted.")
    return redirect("watchlist")


def delete_sessions(user_pk: int) -> None:
    """Deletes every web session of the account."""
    # Only the decoded data of a web session says to which account it belongs.
    owned = [row.pk for row in Session.objects.iterator() if row.get_decoded().get("_auth_user_id") == str(user_pk)]
    Session.objects.filter(pk__in=owned).delete()


def _render_settings(request: HttpRequest, email_form: EmailForm | None) -> HttpResponse:
    context = {"choices": _appearance_choices(request), "zones": zones(), "email_form": email_form}
    return render(request, "watchlist/settings.html", context)


def _appearance_choices(request: HttpRequest) -> list[dict[str, Any]]:
    """Returns the groups of radio buttons for the appearance: theme, palette and density.

    Each group is a dict. `name` is the setting, such as `theme`. `options` has a triple for each button: the value, the
    label, and whether the button is chosen.
    """
    appearance = appearance_of(request)
    return [
        {
            "name": name,
            "options": [(value, label, getattr(appearance, name) == value) for value, label in options.items()],
        }
        for name, options in CHOICES.items()
    ]
