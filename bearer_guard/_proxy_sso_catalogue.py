"""The data behind ``proxy_sso``: who asserts identities under which header, and how sure that is.

Data only: nothing here folds, compares or decides. Names stand as the product sends them; a
trailing ``*`` makes a prefix that something must follow. Each group is a word that users switch.
"""

from typing import Final, Literal, NamedTuple

__all__ = ["ENTRIES", "NEAR_MISSES", "OPTIONAL", "ORDINARY", "Certainty", "Entry", "Kind"]

# exact: equal after folding. prefix: starts with it, and something follows. except: wins over a
# prefix. environ: a variable that only the server can set, never a header. allow: wins over all.
Kind = Literal["exact", "prefix", "except", "environ", "allow"]

# source: read in the product's own source or specification. documented: in its documentation.
# seen: in many public repositories that use it. unverified: general knowledge. On by default it
# is safe to refuse: a plain client sends no such name beside a token. configured: the user's own.
Certainty = Literal["source", "documented", "seen", "unverified", "configured"]


class Entry(NamedTuple):
    """One line of the catalogue: names that share their product, group, kind and source.

    Attributes:
        group: The word that switches it on or off.
        product: Who sends it.
        kind: How its names are compared.
        headers: Names as sent, separated by white space; ``*`` at the end of every prefix.
        certainty: How sure it is.
        source: Where it was read; ``""`` when unverified.
        also: Groups that use these names too; taken alone, such a group brings them along.
    """

    group: str
    product: str
    kind: Kind
    headers: str
    certainty: Certainty
    source: str
    also: tuple[str, ...] = ()


# fmt: off
ENTRIES: Final[tuple[Entry, ...]] = (
    Entry("cgi", "CGI and WSGI servers", "environ", "REMOTE_USER",
          "source", "RFC 3875 section 4.1.11"),
    Entry("cgi", "IIS", "environ", "LOGON_USER", "documented", "IIS Insider, October 2005"),
    Entry("convention", "Authelia, tinyauth, Oracle APEX, Odoo, Firefly III", "exact",
          "Remote-User Remote-Groups Remote-Name Remote-Email", "source",
          "authelia internal/handlers/const.go; Oracle APEX, HTTP Header Variable", ("authelia",)),
    Entry("convention", "Kubernetes front proxy, OpenShift, kcp, Splunk, Cosign", "exact",
          "X-Remote-User X-Remote-Group X-Remote-Groups",
          "documented", "kcp pkg/proxy/authheaders; OpenShift request header identity provider",
          ("kubernetes", "manageiq")),
    Entry("convention", "Kubernetes front proxy and its kin", "exact",
          "X-Remote-Uid X-Remote-Name X-Remote-Email X-Remote-Realm",
          "seen", "public configurations", ("kubernetes",)),
    Entry("convention", "oauth2-proxy behind nginx, Oathkeeper", "exact", "X-User X-Email X-Groups",
          "source", "oauth2-proxy integrations/nginx.md; oathkeeper .docker_compose/rules.json",
          ("oauth2-proxy",)),
    Entry("convention", "Traefik's and Django's example", "exact", "X-Auth-User",
          "documented", "Traefik, Headers with Underscores; Django 1.4.18 release notes"),
    Entry("authelia", "Authelia", "exact", "Session-Username",
          "source", "authelia internal/handlers/const.go"),
    Entry("kubernetes", "Kubernetes front proxy", "prefix", "X-Remote-Extra-*",
          "documented", "kubernetes requestheader.go; kcp"),
    Entry("manageiq", "ManageIQ, CloudForms", "exact",
          "X_REMOTE_USER_EMAIL X_REMOTE_USER_FIRSTNAME X_REMOTE_USER_LASTNAME"
          " X_REMOTE_USER_FULLNAME X_REMOTE_USER_GROUPS X_REMOTE_USER_DOMAIN",
          "seen", "ManageIQ external authentication for Apache"),
    Entry("oauth2-proxy", "oauth2-proxy, traefik-forward-auth, Databricks Apps, GitLab, Jenkins",
          "exact", "X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups"
          " X-Forwarded-Preferred-Username X-Forwarded-Access-Token",
          "source", "oauth2-proxy pkg/apis/options/legacy_options.go", ("jenkins",)),
    # Not a prefix: ingress-nginx sends X-Auth-Request-Redirect with every sub-request.
    Entry("oauth2-proxy", "oauth2-proxy with --set-xauthrequest", "exact",
          "X-Auth-Request-User X-Auth-Request-Email X-Auth-Request-Groups"
          " X-Auth-Request-Preferred-Username X-Auth-Request-Access-Token",
          "source", "oauth2-proxy pkg/apis/options/legacy_options.go"),
    Entry("oauth2-proxy", "oauth2-proxy", "exact", "GAP-Auth",
          "source", "oauth2-proxy oauthproxy.go"),
    Entry("jenkins", "Jenkins reverse-proxy-auth", "exact",
          "X-Forwarded-Mail X-Forwarded-DisplayName", "documented", "the plugin's README"),
    Entry("pomerium", "Pomerium", "exact", "X-Pomerium-Jwt-Assertion X-Pomerium-Jwt-Assertion-For",
          "documented", "pass-identity-headers; original-request-context"),
    Entry("pomerium", "Pomerium", "prefix", "X-Pomerium-Claim-*",
          "documented", "jwt-claim-headers"),
    Entry("pomerium", "Pomerium before 0.10", "prefix", "X-Pomerium-Authenticated-User-*",
          "documented", "upgrading"),
    Entry("pomerium", "Pomerium's guides", "exact", "X-Pomerium-Sub X-Pomerium-User",
          "documented", "the Forgejo and homelab guides"),
    Entry("authentik", "authentik proxy outpost", "prefix", "X-authentik-*",
          "source", "authentik internal/outpost/proxyv2/application/mode_common.go"),
    Entry("authentik", "authentik proxy outpost", "except", "X-authentik-meta-*",
          "source", "authentik internal/outpost/proxyv2/application/mode_common.go"),
    # Not a prefix: X-Auth-Token and X-Auth-Key are credentials that clients send.
    Entry("louketo", "louketo-proxy, Keycloak Gatekeeper, gogatekeeper", "exact",
          "X-Auth-Username X-Auth-Userid X-Auth-Email X-Auth-Groups X-Auth-Roles X-Auth-Subject"
          " X-Auth-Audience X-Auth-ExpiresIn X-Auth-Name X-Auth-Given-Name X-Auth-Family-Name",
          "source", "louketo middleware.go, docs/user-guide.md"),
    Entry("mod-auth-openidc", "Apache mod_auth_openidc", "prefix", "OIDC_*",
          "source", "mod_auth_openidc auth_openidc.conf, src/mod_auth_openidc.c"),
    Entry("mellon", "Apache mod_auth_mellon", "prefix", "MELLON_*",
          "source", "mod_auth_mellon README.md, MellonEnvPrefix"),
    Entry("shibboleth", "Shibboleth SP", "prefix", "Shib-*",
          "documented", "Shibboleth wiki: AttributeAccess, SPEmptyHeaders"),
    Entry("shibboleth", "Shibboleth SP", "except",
          "Shib-Application-ID Shib-Handler Shib-Cookie-Name",
          "documented", "Shibboleth wiki: AttributeAccess"),
    Entry("shibboleth", "Shibboleth SP's attribute names", "exact", "eppn",
          "documented", "Plack::Auth::SSO::Shibboleth"),
    Entry("shibboleth", "Shibboleth SP's attribute names", "exact",
          "subject-id pairwise-id persistent-id targeted-id", "unverified", ""),
    Entry("cas", "Apache mod_auth_cas", "prefix", "CAS-*",
          "seen", "mod_auth_cas README, CASAttributePrefix"),
    Entry("gssapi", "Apache mod_auth_gssapi", "exact", "GSS_NAME",
          "source", "mod_auth_gssapi README"),
    Entry("grafana", "Grafana auth proxy, Gitea, Forgejo, Caddy with Tailscale", "prefix",
          "X-WEBAUTH-*", "documented", "Grafana, auth proxy; caddy website forward_auth.md"),
    Entry("authcrunch", "caddy-security, AuthCrunch", "exact", "X-Token-Subject",
          "seen", "caddy-auth-jwt README"),
    Entry("authcrunch", "caddy-security, AuthCrunch", "prefix", "X-Token-User-*",
          "seen", "caddy-auth-jwt README"),
    Entry("cloudflare", "Cloudflare Access", "exact", "Cf-Access-Jwt-Assertion",
          "documented", "Cloudflare, Validate JWTs"),
    Entry("cloudflare", "Cloudflare Access", "prefix", "Cf-Access-Authenticated-User-*",
          "seen", "public configurations"),
    Entry("google", "Google IAP", "exact", "X-Goog-IAP-JWT-Assertion",
          "documented", "Securing your app with signed headers"),
    Entry("google", "Google IAP, App Engine", "prefix", "X-Goog-Authenticated-User-*",
          "documented", "Securing your app with signed headers"),
    Entry("google", "Google Cloud Endpoints", "exact", "X-Endpoint-API-UserInfo",
          "seen", "public services behind it"),
    Entry("google", "Google API Gateway, inverting proxy", "exact",
          "X-Apigateway-Api-Userinfo X-Inverting-Proxy-User-Id", "unverified", ""),
    Entry("aws", "AWS ALB with OIDC or Cognito", "prefix", "x-amzn-oidc-*",
          "documented", "Authenticate users using an Application Load Balancer"),
    Entry("aws", "AWS Verified Access", "exact", "x-amzn-ava-user-context",
          "documented", "User claims passing"),
    Entry("azure", "Azure App Service, Container Apps, Static Web Apps", "exact",
          "X-MS-CLIENT-PRINCIPAL", "documented", "Work with user identities"),
    Entry("azure", "Azure App Service, Container Apps, Static Web Apps", "prefix",
          "X-MS-CLIENT-PRINCIPAL-* X-MS-TOKEN-*", "documented", "Work with user identities"),
    Entry("tailscale", "Tailscale Serve", "prefix", "Tailscale-User-*",
          "source", "tailscale ipn/ipnlocal/serve.go"),
    Entry("tailscale", "Tailscale nginx-auth, Serve", "exact",
          "Tailscale-User Tailscale-Login Tailscale-Name Tailscale-Profile-Picture"
          " Tailscale-Tailnet Tailscale-App-Capabilities",
          "source", "tailscale cmd/nginx-auth/nginx-auth.go, ipn/ipnlocal/serve.go"),
    Entry("siteminder", "SiteMinder web agent", "exact",
          "SM_USER SM_USERDN SM_UNIVERSALID SM_DOMINOCN SMUSER",
          "documented", "Broadcom, Default HTTP Headers"),
    Entry("siteminder", "SiteMinder web agent", "exact",
          "SM_SERVERSESSIONID SM_SERVERSESSIONSPEC SM_SERVERIDENTITYSPEC",
          "seen", "public configurations"),
    Entry("oracle", "Oracle Access Manager, Okta Access Gateway", "exact", "OAM_REMOTE_USER",
          "documented", "Oracle ATG guide; Okta, Oracle Demantra attributes"),
    Entry("oracle", "Oracle Identity Cloud App Gateway", "exact", "idcs_remote_user",
          "seen", "public configurations"),
    Entry("oracle", "Oracle Access Manager, Oracle SSO, Identity Cloud App Gateway", "exact",
          "OAM_REMOTE_USER_GROUPS OAM_REMOTE_USER_EMAIL Osso-User-Dn Osso-User-Guid"
          " idcs_user_assertion", "unverified", ""),
    Entry("webseal", "IBM WebSEAL, Verify Access", "exact", "iv-user iv-user-l iv-groups iv-creds",
          "documented", "Client identity in HTTP headers (-c)"),
    Entry("teleport", "Teleport application access", "exact", "Teleport-Jwt-Assertion",
          "documented", "Use JWT Tokens With Application Access"),
    Entry("vouch", "Vouch Proxy", "exact", "X-Vouch-User X-Vouch-JWT",
          "seen", "public configurations"),
    Entry("vouch", "Vouch Proxy", "prefix", "X-Vouch-IdP-*", "documented", "vouch-proxy examples"),
    Entry("lemonldap", "LemonLDAP::NG", "exact", "Auth-User",
          "source", "LemonLDAP::NG configuration defaults"),
    Entry("lemonldap", "LemonLDAP::NG, YunoHost SSOwat", "exact", "Auth-Mail Auth-Groups Auth-Cn",
          "unverified", ""),
    # X-Credential-Indentifier: APISIX's own misspelling, on the wire.
    Entry("gateway", "Kong, APISIX", "exact",
          "X-Consumer-ID X-Consumer-Username X-Consumer-Custom-ID X-Consumer-Groups"
          " X-Credential-Identifier X-Credential-Indentifier X-Credential-Username"
          " X-Authenticated-Userid X-Authenticated-Scope X-Authenticated-Groups",
          "documented", "APISIX key-auth; Kong"),
    Entry("gateway", "FortiGate, ICAP chains, Zscaler, Citrix", "exact", "X-Authenticated-User",
          "documented", "FortiGate, Logging options in web proxy profiles"),
    Entry("gateway", "kong-oidc, APISIX openid-connect, WSO2 API Manager", "exact",
          "X-Userinfo X-ID-Token X-JWT-Assertion", "unverified", ""),
    Entry("nexus-opensearch", "Sonatype Nexus RUT, OpenSearch proxy authentication", "exact",
          "X-SSO-User X-Proxy-User X-Proxy-Roles", "seen", "public configurations"),
    Entry("nifi", "Apache NiFi, DataWave, Knox", "exact",
          "X-ProxiedEntitiesChain X-ProxiedIssuersChain", "seen", "class ProxiedEntitiesUtils"),
    Entry("snowflake", "Snowflake Snowpark Container Services", "exact", "Sf-Context-Current-User",
          "seen", "public services behind it"),
    Entry("snowflake", "Snowflake Snowpark Container Services", "prefix",
          "Sf-Context-Current-User-*", "seen", "public services behind it"),
    Entry("posit", "Posit Connect", "exact", "Posit-Connect-User-Session-Token",
          "seen", "public applications behind it"),
    Entry("posit", "Posit Connect, Shiny Server", "exact",
          "RStudio-Connect-Credentials Shiny-Server-Credentials", "unverified", ""),
    Entry("sandstorm", "Sandstorm", "exact",
          "X-Sandstorm-User-Id X-Sandstorm-Username X-Sandstorm-Permissions"
          " X-Sandstorm-Preferred-Handle X-Sandstorm-User-Picture X-Sandstorm-User-Pronouns",
          "seen", "public applications behind it"),
    Entry("exedev", "exe.dev proxy", "exact", "X-ExeDev-UserID X-ExeDev-Email",
          "seen", "public applications behind it"),
    Entry("legacy", "RSA ClearTrust, Stanford WebAuth", "exact", "CT-Remote-User WebAuth-User",
          "unverified", ""),
    Entry("pingfederate", "PingFederate's Apache agent", "prefix", "PF_AUTH_*", "unverified", ""),
    Entry("ngrok", "ngrok OAuth, OpenID Connect", "prefix", "Ngrok-Auth-User-*", "unverified", ""),
    Entry("home-assistant", "Home Assistant ingress", "exact",
          "X-Remote-User-Id X-Remote-User-Name X-Remote-User-Display-Name",
          "seen", "public add-ons"),
    Entry("replit", "Replit", "prefix", "X-Replit-User-*", "seen", "public applications"),
)

# Off by default: the sender may be an ordinary client, or the name tells of something else.
OPTIONAL: Final[tuple[Entry, ...]] = (
    # In a service mesh every request carries one, and certificate-bound tokens (RFC 8705) need it.
    Entry("client-certificate", "RFC 9440 proxies", "exact", "Client-Cert Client-Cert-Chain",
          "source", "RFC 9440 section 2"),
    Entry("client-certificate", "Traefik, Azure App Service", "exact",
          "X-Forwarded-Tls-Client-Cert X-Forwarded-Tls-Client-Cert-Info X-ARR-ClientCert",
          "documented", "Traefik, PassTLSClientCert; Azure, TLS mutual authentication"),
    Entry("client-certificate", "AWS ALB", "exact", "X-Amzn-Mtls-Clientcert",
          "documented", "HTTP header modification for your Application Load Balancer"),
    Entry("client-certificate", "AWS ALB", "prefix", "X-Amzn-Mtls-Clientcert*",
          "documented", "HTTP header modification for your Application Load Balancer"),
    Entry("client-certificate", "Envoy, Istio, hand-made proxies", "exact",
          "X-Forwarded-Client-Cert X-Client-Cert", "unverified", ""),
    Entry("client-certificate", "ingress-nginx, Apache mod_ssl, hand-made proxies", "prefix",
          "SSL_CLIENT_* X-SSL-Client-* X-Client-Cert*", "unverified", ""),
    # kubectl --as sends these beside a Bearer token, on purpose.
    Entry("impersonation", "Kubernetes API clients", "exact",
          "Impersonate-User Impersonate-Group Impersonate-Uid",
          "documented", "Kubernetes, User impersonation"),
    Entry("impersonation", "Kubernetes API clients", "prefix", "Impersonate-Extra-*",
          "documented", "Kubernetes, User impersonation"),
    # What a client shows the proxy; it asserts nothing to the application.
    Entry("foreign-credentials", "any proxy", "exact", "Proxy-Authorization",
          "source", "RFC 9110 section 11.7.2"),
    Entry("foreign-credentials", "Cloudflare Access service tokens", "exact",
          "CF-Access-Client-Id CF-Access-Client-Secret", "documented", "Service tokens"),
    Entry("foreign-credentials", "louketo, OpenStack clients, Pomerium, Cloudflare Access", "exact",
          "X-Auth-Token X-Access-Token X-Refresh-Token X-Pomerium-Authorization CF-Access-Token",
          "unverified", ""),
    # Rocket.Chat's clients send X-User-Id, LLM gateways send user ids: too common to refuse.
    Entry("generic", "hand-made proxies, Oathkeeper, Kong claims", "exact",
          "X-User-Id X-UserId X-Username X-User-Name X-User-Email X-Sub From"
          " mail displayName sn affiliation entitlement", "unverified", ""),
)
# fmt: on

# What any client sends. Listing one as an identity would refuse every request; so would the
# whole Sec- family (Fetch Metadata, WebSocket), which ``proxy_sso`` treats likewise.
ORDINARY: Final = """
    Authorization Cookie User-Agent Host Origin Referer X-Requested-With X-CSRF-Token X-API-Key
    Idempotency-Key X-Request-ID X-Correlation-ID traceparent tracestate baggage
    Accept Accept-Charset Accept-Encoding Accept-Language Cache-Control Connection
    Content-Disposition Content-Encoding Content-Language Content-Length Content-Type Date DNT
    Expect If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive
    Last-Event-ID Origin-Agent-Cluster Pragma Prefer Priority Range Save-Data TE Trailer
    Transfer-Encoding Upgrade Upgrade-Insecure-Requests
    Access-Control-Request-Headers Access-Control-Request-Method
    Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-GPC Sec-Purpose Sec-CH-UA
    Sec-CH-UA-Mobile Sec-CH-UA-Platform Sec-WebSocket-Extensions Sec-WebSocket-Key
    Sec-WebSocket-Protocol Sec-WebSocket-Version
"""

# Names that sound like an identity, or stand beside one, and carry none.
NEAR_MISSES: Final = """
    Forwarded Via X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Forwarded-Port
    X-Forwarded-Prefix X-Forwarded-Path X-Forwarded-Scheme X-Forwarded-Server X-Forwarded-Ssl
    X-Forwarded-Uri X-Forwarded-Method X-Forwarded-By X-Forwarded-Agent X-Forwarded-Protocol
    X-Forwarded-Context X-Real-IP X-Scheme X-Original-URI X-Original-URL X-Original-Method
    X-Original-Host X-Original-Forwarded-For X-Sent-From X-ProxyUser-Ip X-Rewrite-URL
    X-Envoy-External-Address X-Envoy-Attempt-Count X-Envoy-Expected-Rq-Timeout-Ms
    X-Envoy-Original-Path X-Envoy-Internal X-Envoy-Decorator-Operation

    X-Auth-Request-Redirect X-Auth-Proxy-Version X-Auth-Key X-Auth-Token X-Remote-Addr X-Remote-IP
    X-Remote-Host X-Remote-Port X-Remote-User-Agent Remote-Addr Remote-Host Remote-Port
    X-User-Agent X-Userid-Hash X-Token X-Token-Type Auth-Type Session-Id

    Tailscale-Headers-Info Tailscale-Funnel-Request Tailscale-Ingress-Src Tailscale-Ingress-Target
    X-authentik-meta-jwks X-authentik-meta-outpost X-authentik-meta-provider X-authentik-meta-app
    X-authentik-meta-version X-Pomerium-Original-Host Shib-Application-ID Shib-Handler
    Shib-Cookie-Name SM_TRANSACTIONID SM_REALM SM_REALMOID SM_SDOMAIN SM_AUTHTYPE SM_AUTHREASON
    SM_AUTHDIRNAME SM_AUTHDIRNAMESPACE SM_AUTHDIROID SM_AUTHDIRSERVER iv-remote-address
    iv-remote-address-ipv6 iv_server_name OAM_LAST_ACCESS_TIME OAM_IDENTITY_DOMAIN X-Vouch-Success
    X-Vouch-Error X-Vouch-Requested-URI X-Anonymous-Consumer X-Kong-Request-Id
    X-Kong-Upstream-Latency X-Kong-Proxy-Latency X-Sandstorm-Base-Path X-Sandstorm-Session-Id
    X-Sandstorm-Session-Type X-Citrix-Via X-Citrix-Gateway X-MS-Proxy X-MS-Forwarded-Client-IP
    X-MS-Endpoint-Absolute-Path

    x-ms-client-request-id x-ms-request-id x-ms-version x-ms-original-url X-ARR-SSL X-ARR-LOG-ID
    X-Azure-ClientIP X-Azure-FDID X-Azure-Ref X-Azure-RequestChain X-Azure-SocketIP X-Amzn-Trace-Id
    x-amzn-requestid x-amz-cf-id x-amz-content-sha256 x-amz-date x-amz-target X-Cloud-Trace-Context
    X-Goog-Api-Key X-Goog-Api-Client X-Goog-User-Project CF-Ray CF-Connecting-IP CF-IPCountry
    CF-Visitor CDN-Loop True-Client-IP Fastly-Client-IP Fly-Client-IP Fly-Forwarded-Port
    Fly-Forwarded-Proto Fly-Region Fly-Request-Id X-Vercel-Deployment-Url X-Vercel-Forwarded-For
    X-Vercel-Id X-Vercel-IP-Country

    X-Bearer-Guard-User X-Bearer-Guard-Token-Id X-Bearer-Guard-Scopes
"""
