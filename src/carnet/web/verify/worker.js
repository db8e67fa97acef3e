onmessage = async ({ data }) => {
  try {
    postMessage({ id: data.id, answer: await judgeProof(data.job) });
  } catch (error) {
    postMessage({ id: data.id, fault: { name: error.name, message: error.message } });
  }
};
