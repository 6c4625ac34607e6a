-- Asks the forward-auth endpoint whether a request may pass. For HAProxy 2.5 and later.
--
--   http-request lua.bearer_guard 127.0.0.1:9000 /forward-auth
--
-- It sends the request's header fields, and no body. What comes of it stands in variables:
--
--   txn.guard_status      the endpoint's status; 503 where it does not answer
--   txn.guard_challenge   its WWW-Authenticate
--   txn.guard_user  txn.guard_token_id  txn.guard_scopes
--
-- Only a status of 200 is a yes, and the configuration has to refuse everything else.

-- Of the connection between client and HAProxy, or of a body that is not sent.
local LEFT_OUT = {
  ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["te"] = true,
  ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true, ["expect"] = true,
  ["content-length"] = true, ["host"] = true,
  -- A client must not tell which URI it asks for: X-Forwarded-Uri does.
  ["x-original-uri"] = true, ["x-original-url"] = true, ["x-original-method"] = true,
}

local ANSWERS = {
  ["txn.guard_challenge"] = "www-authenticate",
  ["txn.guard_user"] = "x-bearer-guard-user",
  ["txn.guard_token_id"] = "x-bearer-guard-token-id",
  ["txn.guard_scopes"] = "x-bearer-guard-scopes",
}

local function fields_of(txn)
  local fields = {}
  for name, values in pairs(txn.http:req_get_headers()) do
    if not LEFT_OUT[name] and name:sub(1, 14) ~= "sec-websocket-" then
      fields[name] = {}
      for index = 0, #values do -- HAProxy counts from 0
        table.insert(fields[name], values[index])
      end
    end
  end
  return fields
end

core.register_action("bearer_guard", { "http-req" }, function(txn, address, path)
  local client = core.httpclient()
  local answer = client:get{
    url = "http://" .. address .. path,
    headers = fields_of(txn),
    timeout = 5000,
  }
  local status = answer and answer.status or 0
  if status < 100 then
    status = 503
  end
  txn:set_var("txn.guard_status", status)
  local headers = answer and answer.headers or {}
  for variable, name in pairs(ANSWERS) do
    txn:set_var(variable, headers[name] and headers[name][0] or "")
  end
end, 2)
