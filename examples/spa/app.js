// Signs in with Auth0's SDK for single page applications, and shows what the ID token says.

const by = (id) => document.getElementById(id);
const { domain, clientId } = await (await fetch('/settings.json')).json();
// Without a trailing slash: the same address has to be among the callbacks, the web origins and the logout addresses.
const home = location.origin;

try {
  const auth0 = await window.auth0.createAuth0Client({ domain, clientId, authorizationParams: { redirect_uri: home } });
  by('in').onclick = () => auth0.loginWithRedirect();
  by('out').onclick = () => auth0.logout({ logoutParams: { returnTo: home } });
  const query = new URLSearchParams(location.search);
  if (query.has('state') && (query.has('code') || query.has('error'))) {
    await auth0.handleRedirectCallback();
    history.replaceState({}, '', '/');
  }
  const claims = await auth0.getIdTokenClaims();
  by('in').hidden = Boolean(claims);
  by('out').hidden = !claims;
  by('state').textContent = claims
    ? `You are signed in as ${claims.email}. ${claims.amr?.includes('mfa') ? 'A second factor was proven.' : 'No second factor was asked for.'}`
    : 'You are not signed in.';
  by('claims').textContent = claims ? JSON.stringify(claims, null, 2) : '';
} catch (error) {
  by('state').textContent = `It failed: ${error.message}`;
  by('in').hidden = false;
}
