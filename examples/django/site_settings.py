"""A site with one app.

pip install django "../../clients/python[django]"
python manage.py migrate
REDIS_URL=redis://127.0.0.1:6379/0 python manage.py runserver
"""

import os
from pathlib import Path

HERE = Path(__file__).parent
SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-trying-it")
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "login.urls"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.sessions", "voicecode_client.django", "login"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", HERE / "db.sqlite3"),
        "ATOMIC_REQUESTS": True,
    }
}
VOICECODE = {"URL": os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")}
