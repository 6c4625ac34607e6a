core.register_action("sso", { "http-req" }, function(txn)
  local cookie = txn.http:req_get_headers()["cookie"]
  local answer = core.httpclient():get{
    url = "http://127.0.0.1:9000/", headers = { cookie = { cookie and cookie[0] or "" } },
  }
  txn:set_var("txn.sso_status", answer.status)
  txn:set_var("txn.sso_user", answer.status == 200 and answer.headers["remote-user"][0] or "")
end)
