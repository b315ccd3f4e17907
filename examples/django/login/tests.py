"""`python manage.py test`: nobody is called, and no Redis is needed."""

import json
import os
import time
from unittest import skipUnless

from django.core.management import call_command
from django.db import transaction
from django.test import TestCase, TransactionTestCase, override_settings
from voicecode_client.testing import nobody_is_called

MOBILE = "13800138000"


class Posts:
    def post(self, path, **body):
        return self.client.post(path, json.dumps(body), content_type="application/json").json()

    def ask(self):
        return self.client.get("/status").json()


class LoginTest(Posts, TestCase):
    def setUp(self):
        self.voicecode = self.enterContext(nobody_is_called())

    def call(self, mobile=MOBILE):
        # A TestCase rolls its transaction back, so nothing would be sent without this.
        with self.captureOnCommitCallbacks(execute=True):
            return self.post("/call", mobile=mobile)

    def test_a_code_is_sent_and_taken_once(self):
        with self.voicecode.expects(mobile=MOBILE, purpose="login"):
            self.assertEqual(self.call()["state"], "queued")
        self.assertEqual(self.ask()["state"], "accepted")
        self.assertEqual(self.post("/check", code="no")["state"], "wrong")
        code = self.voicecode.last_code(MOBILE)
        self.assertEqual(self.post("/check", code=code)["state"], "signed in")
        self.assertEqual(self.post("/check", code=code)["state"], "wrong")

    def test_sms_is_offered_where_nobody_can_be_called(self):
        self.voicecode.will_time_out()
        self.call()
        self.assertEqual(self.ask()["offer"], "sms")
        self.voicecode.sending_stopped()
        with self.assertLogs("voicecode_client", "WARNING"):
            self.call()
        self.assertEqual(self.ask()["offer"], "sms")
        self.voicecode.redis_down()
        self.assertEqual(self.ask()["offer"], "sms")

    def test_a_wrong_number_is_told(self):
        with self.voicecode.expects(count=0):
            self.assertIn("not a mainland number", self.call("12345")["detail"])


class RollbackTest(Posts, TransactionTestCase):
    def test_a_login_that_is_rolled_back_calls_nobody(self):
        voicecode = self.enterContext(nobody_is_called())
        with voicecode.expects(count=0), self.assertRaises(RuntimeError), transaction.atomic():
            self.post("/call", mobile=MOBILE)
            raise RuntimeError
        with voicecode.expects(mobile=MOBILE):
            self.post("/call", mobile=MOBILE)


class SettingTest(TestCase):
    def test_the_check_tells_a_wrong_setting_and_sends_nothing(self):
        call_command("check")
        for wrong in (None, {}, {"URL": "amqp://host"}, {"URL": "redis://h", "TIMEOUT": 1}):
            with override_settings(VOICECODE=wrong), self.assertRaisesMessage(Exception, "voicecode.E001"):
                call_command("check")


@skipUnless("REDIS_URL" in os.environ, "needs a running voicecode")
class LiveTest(Posts, TransactionTestCase):
    def test_with_a_worker_and_a_simulated_gateway(self):
        for mobile, state, offer in ((MOBILE, "accepted", "voice"), ("19900004030", "dead", "sms")):
            self.assertEqual(self.post("/call", mobile=mobile)["state"], "queued")
            until = time.monotonic() + 30
            while not (found := self.ask())["ended"] and time.monotonic() < until:
                time.sleep(0.05)
            self.assertEqual((found["state"], found["offer"]), (state, offer))
            code = self.client.session["login"]["code"]
            self.assertEqual(self.post("/check", code=code)["state"], "signed in")
