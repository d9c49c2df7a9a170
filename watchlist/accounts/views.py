"""The doors of an account, and what a person settles about it: look, e-mail address, password, its end."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, PasswordChangeView, PasswordResetConfirmView, PasswordResetView
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from watchlist.accounts.forms import DeleteAccountForm, EmailForm, SignUpForm
from watchlist.accounts.preferences import CHOICES, appearance_of, make_appearance, save_appearance, zones
from watchlist.accounts.throttle import forget_name, is_allowed
from watchlist.lists.storage import adopt_lists


@sensitive_post_parameters("password1", "password2")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """A new account, signed in at once, with the visitor's lists in it."""
    if request.user.is_authenticated:
        return redirect("watchlist")
    if not settings.REGISTRATION_OPEN:
        return render(request, "watchlist/sign_up_closed.html", status=403)
    form = SignUpForm(request.POST or None)
    if form.is_valid():
        if not is_allowed(request, "sign-up", settings.REGISTRATION_PER_HOUR):
            form.add_error(None, "Too many accounts were opened from your address in the last hour. Try again later.")
            return render(request, "watchlist/sign_up.html", {"form": form}, status=429)
        user = form.save()
        login(request, user)
        adopt_lists(user, request.session)
        return redirect("watchlist")
    return render(request, "watchlist/sign_up.html", {"form": form})


class SignIn(LoginView):
    template_name = "watchlist/sign_in.html"
    redirect_authenticated_user = True

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        adopt_lists(form.get_user(), self.request.session)
        return response


class PasswordChange(PasswordChangeView):
    template_name = "watchlist/password_change.html"
    success_url = reverse_lazy("settings")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)


class PasswordReset(PasswordResetView):
    template_name = "watchlist/password_reset.html"
    email_template_name = "watchlist/password_reset_mail.txt"
    subject_template_name = "watchlist/password_reset_subject.txt"
    success_url = reverse_lazy("password-reset-sent")

    def form_valid(self, form: Any) -> HttpResponse:
        if not is_allowed(self.request, "reset", settings.REGISTRATION_PER_HOUR):
            form.add_error(None, "Too many letters were asked for from your address in the last hour. Try again later.")
            return self.form_invalid(form)
        return super().form_valid(form)


class PasswordResetConfirm(PasswordResetConfirmView):
    template_name = "watchlist/password_reset_confirm.html"
    success_url = reverse_lazy("password-reset-done")

    def form_valid(self, form: Any) -> HttpResponse:
        # Whoever kept its owner out by guessing must not keep the new password out too.
        forget_name(form.user.get_username())
        return super().form_valid(form)


@never_cache
@require_safe
def show_settings(request: HttpRequest) -> HttpResponse:
    """Look for everybody; e-mail address, password and the end for accounts."""
    context: dict[str, Any] = {"choices": look_choices(request), "zones": zones()}
    if isinstance(request.user, User):
        context["email_form"] = EmailForm(instance=request.user)
    return render(request, "watchlist/settings.html", context)


@require_POST
def change_look(request: HttpRequest) -> HttpResponse:
    """Any of theme, palette, density and zone; what the form does not name stays."""
    now = appearance_of(request)
    names = (*CHOICES, "zone")
    look = make_appearance({name: request.POST.get(name) or getattr(now, name) for name in names})
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    response = redirect(back if safe else "settings")
    save_appearance(request, response, look)
    return response


@require_POST
@login_required
def change_email(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    form = EmailForm(request.POST, instance=request.user)
    if form.is_valid():
        form.save()
        messages.success(request, "Your e-mail address is kept." if form.cleaned_data["email"] else "It is removed.")
        return redirect("settings")
    context = {"choices": look_choices(request), "zones": zones(), "email_form": form}
    return render(request, "watchlist/settings.html", context)


@sensitive_post_parameters("password")
@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete_account(request: HttpRequest) -> HttpResponse:
    """Deletes the account with its lists, preferences and sessions; asks for the password first."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    form = DeleteAccountForm(request.user, request.POST or None)
    if not form.is_valid():
        return render(request, "watchlist/delete_account.html", {"form": form})
    pk = request.user.pk
    logout(request)
    User.objects.get(pk=pk).delete()
    forget_sessions(pk)
    messages.success(request, "Your account is deleted, with all that was in it.")
    return redirect("watchlist")


def forget_sessions(pk: int) -> None:
    """Deletes every session of the account: a session's owner is known only to itself."""
    owned = [row.pk for row in Session.objects.iterator() if row.get_decoded().get("_auth_user_id") == str(pk)]
    Session.objects.filter(pk__in=owned).delete()


def look_choices(request: HttpRequest) -> list[dict[str, Any]]:
    """The look as groups of radio buttons."""
    look = appearance_of(request)
    return [
        {"name": name, "options": [(value, words, getattr(look, name) == value) for value, words in options.items()]}
        for name, options in CHOICES.items()
    ]
