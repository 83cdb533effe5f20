"""Landing page, sign-up, log-in, log-out."""

from django.contrib import messages
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.errors import TooManyAttempts
from apps.accounts.forms import LogInForm, SignUpForm, Throttled
from apps.accounts.nextpage import next_page
from apps.accounts.secondstep import begin_second_step
from apps.accounts.selectors import has_second_factor
from apps.accounts.services.sessions import BY_PASSWORD, close_session, open_session
from apps.accounts.services.signup import sign_up
from apps.accounts.views.forms import form_page, with_status
from apps.web.errors import SessionEnded
from apps.web.visitor import client_address


@require_GET
def landing(request: HttpRequest) -> HttpResponse:
    return render(request, "site/landing.html")


@sensitive_post_parameters("password")
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def sign_up_page(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("accounts:overview")
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            sign_up(
                email=form.cleaned_data["email"],
                password=form.cleaned_data["password"],
                client=client_address(request),
            )
        except TooManyAttempts as error:
            form.add_error(None, Throttled(error))
        else:
            return redirect("accounts:check-mail")
    return form_page(request, "accounts/sign_up.html", {"form": form}, form)


@method_decorator(
    [sensitive_post_parameters("password"), never_cache, require_http_methods(["GET", "POST"])], name="dispatch"
)
class LogInPage(LoginView):
    """Django's view: constant work for unknown addresses, only local `next` addresses."""

    template_name = "accounts/log_in.html"
    authentication_form = LogInForm
    redirect_authenticated_user = True

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        return next_page(request or self.request, "")

    def form_valid(self, form: LogInForm) -> HttpResponse:  # type: ignore[override]
        """The password is right."""
        user = form.get_user()
        if has_second_factor(user_id=user.pk):
            begin_second_step(request=self.request, user=user, next_url=self.get_redirect_url())
            return redirect("accounts:second-step")
        try:
            open_session(request=self.request, user=user, proofs=BY_PASSWORD)
        except SessionEnded as error:
            form.add_error(None, error.message)
            return self.form_invalid(form)
        return redirect(self.get_success_url())

    def form_invalid(self, form: LogInForm) -> HttpResponse:  # type: ignore[override]
        return with_status(super().form_invalid(form), form)


@never_cache
@csrf_protect
@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    close_session(request=request)
    messages.info(request, "You are logged out.")
    return redirect("accounts:landing")
