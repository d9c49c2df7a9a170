"""Forms of accounts: sign-up, e-mail address and deletion."""

from typing import Any

from django import forms
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User

EMAIL_HELP = "Optional. Used only to reset your password."


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


class EmailForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks for the e-mail address that password resets are sent to."""

    class Meta:
        model = User
        fields = ("email",)
        labels = {"email": "E-mail address"}  # noqa: RUF012
        help_texts = {"email": EMAIL_HELP}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].widget.attrs["autocomplete"] = "email"


class DeleteAccountForm(forms.Form):
    """Asks for the password before an account is deleted."""

    password = forms.CharField(
        label="Your password", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not self._user.check_password(password):
            raise forms.ValidationError("The password is wrong.")
        return password
