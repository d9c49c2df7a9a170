"""Defines the forms of accounts, such as sign-in, sign-up and deletion."""

import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm, PasswordResetForm, UserCreationForm
from django.contrib.auth.models import User

from watchlist.accounts.sign_in_limit import MAX_NAME_LENGTH

MAIL_THREADS = ThreadPoolExecutor(4, thread_name_prefix="mail")
"""The threads that send e-mails. A process sends all waiting e-mails before the process ends."""
EMAIL_HELP = "Optional. Used to reset your password, and for alerts that you want by e-mail."


class SignInForm(AuthenticationForm):
    """Asks for name and password. Refuses a name that is too long for any account."""

    def clean(self) -> dict[str, Any]:
        # Before the password is hashed, because hashing takes long.
        if len(self.cleaned_data.get("username", "")) > MAX_NAME_LENGTH:
            raise self.get_invalid_login_error()
        return super().clean()


class AdminSignInForm(SignInForm, AdminAuthenticationForm):
    """Asks for name and password in the admin."""


class SignUpForm(UserCreationForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Asks for a name, an optional e-mail address, and the password twice."""

    email = forms.EmailField(label="E-mail address", required=False, help_text=EMAIL_HELP)

    class Meta:
        model = User
        fields = ("username", "email")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].help_text = "Letters, digits and @ . + - _"
        self.fields["email"].widget.attrs["autocomplete"] = "email"
        self.fields["password2"].label = "Password again"
        self.fields["password2"].help_text = ""

    def clean_username(self) -> str:
        """Refuses a name that people could confuse with the name of another account."""
        name: str = super().clean_username()
        if name and _is_taken(name):
            raise forms.ValidationError("A user with that username already exists.", code="unique")
        return name


def _is_taken(name: str) -> bool:
    """Returns whether an account has the same name after case folding. For example, bossN and boßN are the same."""
    folded = _fold(name)
    users = User.objects.values_list("username", flat=True)
    if users.filter(username__iexact=folded).exists():
        return True
    # The database folds only ASCII letters in the same way as Python, so other names are compared here.
    return any(_fold(other) == folded for other in users.exclude(username__regex=r"^[ -~]*$").iterator())


def _fold(name: str) -> str:
    """Returns the name after normalization and case folding, for comparisons.

    `name` may have at most 150 characters, because normalization takes quadratic time.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


class ResetForm(PasswordResetForm):
    """The form that sends an e-mail to reset a password."""

    def send_mail(self, *args: Any, **kwargs: Any) -> None:
        # Without the thread, the duration of the response would tell whether an account exists.
        MAIL_THREADS.submit(super().send_mail, *args, **kwargs)


class PasswordField(forms.CharField):
    """Asks a signed-in person for the password again."""

    def __init__(self) -> None:
        widget = forms.PasswordInput(attrs={"autocomplete": "current-password"})
        super().__init__(label="Your password", strip=False, widget=widget)


class EmailForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks for the e-mail address for password resets, and for the password."""

    password = PasswordField()  # a person who changes the address can take over the account

    class Meta:
        model = User
        fields = ("email",)
        labels = {"email": "E-mail address"}  # noqa: RUF012
        help_texts = {"email": EMAIL_HELP}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].widget.attrs["autocomplete"] = "email"

    def clean_password(self) -> str:
        return _check_password(self.instance, self.cleaned_data["password"])


class DeleteAccountForm(forms.Form):
    """Asks for the password before an account is deleted."""

    password = PasswordField()

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_password(self) -> str:
        return _check_password(self._user, self.cleaned_data["password"])


def _check_password(user: User, password: str) -> str:
    """Returns the password. Raises ValidationError if the password is wrong."""
    if not user.check_password(password):
        raise forms.ValidationError("The password is wrong.")
    return password
