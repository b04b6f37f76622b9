// What is needed of Twilio's helper, by `fetch`: no dependency, so nothing to install, to load or to keep up to date.
// Its errors have the helper's form: status and code of Twilio's answer, or a code alone when there was no usable one.
const twilio = (user, password, { timeout }) => {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const create = async (service, { to, channel, customCode, rateLimits }) => {
    const form = new URLSearchParams({ To: to, Channel: channel, CustomCode: customCode });
    if (rateLimits) form.set('RateLimits', JSON.stringify(rateLimits));
    let response;
    let text;
    try {
      response = await fetch(`https://verify.twilio.com/v2/Services/${service}/Verifications`, {
        method: 'POST',
        headers: {
          authorization,
          accept: 'application/json',
          connection: 'close',
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: form.toString(),
        redirect: 'manual',
        signal: AbortSignal.timeout(timeout),
      });
      text = await response.text();
    } catch (error) {
      // The names that the helper has for these two.
      const code = error?.name === 'TimeoutError' ? 'ETIMEDOUT' : error?.cause?.code;
      throw { code: code === 'UND_ERR_SOCKET' ? 'ECONNRESET' : code };
    }
    let body;
    try {
      body = JSON.parse(text);
    } catch {
      // A gateway's page: its status is all that counts.
    }
    if (!response.ok) throw { status: response.status, code: body?.code };
    if (typeof body !== 'object' || body === null) throw {};
  };
  return { verify: { v2: { services: (service) => ({ verifications: { create: (sent) => create(service, sent) } }) } } };
};
